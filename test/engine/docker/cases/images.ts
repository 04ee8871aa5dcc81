/** Images that can be run, and those that cannot. */
import { expect } from "vitest";
import { revisionOf } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";
import { writeProgramImage } from "../images.ts";

const nodeSpec = { kind: "args" as const, args: ["node", "main.mjs"] };

export const images: ContainerCases = {
  async "one without a base is refused, with where to name one"(on) {
    await on.open();
    const digest = await writeProgramImage(on.layout, undefined, { "main.mjs": "" });
    expect(await on.deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
      ready: "False",
      cause: { code: "NO_BASE_IMAGE", hint: expect.stringContaining("baseImage") },
    });
  },

  async "one whose layers are not those of its configuration is not taken"(on) {
    await on.open();
    const wrong = { ...on.ground.base, diffId: `sha256:${"1".repeat(64)}` };
    const digest = await writeProgramImage(on.layout, wrong, { "main.mjs": "" });
    expect(await on.deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
      cause: { code: "IMAGE_NOT_LOADED", message: expect.stringContaining(digest) },
    });
  },

  async "one that is not in the platform's store fails the revision, with its digest"(on) {
    await on.open();
    const digest = `sha256:${"0".repeat(64)}`;
    expect(await on.deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
      cause: { code: "IMAGE_UNREADABLE", message: expect.stringContaining(digest) },
    });
  },

  async "one that somebody removed from the engine is loaded again for the next start"(on) {
    expect(await on.answerOf('"up"')).toBe("up");
    const { Id, Image } = await on.container();
    await on.api.json("DELETE", `/images/${Image}`, { query: { force: "1" } });
    await on.api.json("POST", `/containers/${Id}/kill`, { query: { signal: "SIGKILL" } });
    await on.restarted();
    expect(await on.ask()).toBe("up");
  },

  async "a program that is not in it is named"(on) {
    await on.open();
    expect(await on.deploy(await on.program("1", { spec: { args: ["nothing", "-x"] } }))).toMatchObject({
      cause: { code: "NO_SUCH_PROGRAM", message: 'the program "nothing" was not found' },
    });
  },

  async "a file of it that cannot be run is named"(on) {
    await on.open();
    expect(await on.deploy(await on.program("1", { spec: { args: ["/app/main.mjs"] } }))).toMatchObject({
      cause: {
        code: "NO_SUCH_PROGRAM",
        message: expect.stringMatching(/^the program "\/app\/main\.mjs" cannot be executed/),
      },
    });
  },

  async "a program that listens on another port than its own is told so"(on) {
    await on.open({ otherPortMs: 500 });
    const digest = await writeProgramImage(on.layout, on.ground.base, {
      "main.mjs": 'import { createServer } from "node:http"; createServer().listen(0, "127.0.0.1");',
    });
    expect(await on.deploy(revisionOf("web-00001", digest, { spec: nodeSpec }))).toMatchObject({
      cause: { code: "OTHER_PORT" },
    });
  },
};
