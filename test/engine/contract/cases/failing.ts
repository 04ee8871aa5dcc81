/** Revisions that do not become ready. */
import { expect } from "vitest";
import { ref } from "../../helpers.ts";
import { ready } from "../ground.ts";
import type { Cases } from "../suite.ts";
import { REVISION_MISSING, revisionFailed } from "../words.ts";

const started = { stream: "stdout", base64: btoa("started\n") } as const;

export const failing: Cases = {
  async "a program that ends with a code before it listens fails the revision, and nothing is left running"(on) {
    const first = await on.revision("web-00001", { start: 7 });
    const words = revisionFailed("web-00001", "EXITED", "it exited with code 7 before it was ready");
    expect(await on.deploy(first)).toEqual([
      { revision: "web-00001", ...REVISION_MISSING },
      { revision: "web-00001", ...words },
    ]);
    expect(on.replicas).toEqual([]);
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
  },

  async "an end with code 0 before it listens is a failure, too"(on) {
    const conditions = await on.deploy(await on.revision("web-00001", { start: 0 }));
    expect(conditions.at(-1)).toMatchObject({ ready: "False", cause: { code: "EXITED_ZERO", exitCode: 0 } });
  },

  async "the cause carries the exit code, a hint and the last lines of the output"(on) {
    const prints = [
      { stream: "stdout", base64: btoa("reading the configuration\n") },
      { stream: "stderr", base64: btoa("no configuration") },
    ] as const;
    const conditions = await on.deploy(await on.revision("web-00001", { prints: [...prints], start: 3 }));
    const cause = conditions.at(-1)?.cause;
    expect(cause).toMatchObject({ code: "EXITED", exitCode: 3, hint: expect.stringMatching(/./) });
    // Two streams have no order between them.
    const texts = (cause?.logs ?? []).map(({ stream, line }) => `${stream}: ${line}`);
    expect(texts.sort()).toEqual(["stderr: no configuration", "stdout: reading the configuration"]);
  },

  async "a program that never listens fails when its start time is over, and is ended"(on) {
    const details = { spec: { startTimeout: 1 } };
    const conditions = await on.deploy(await on.revision("web-00001", { start: "never listens" }, details));
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "RevisionFailed"]);
    expect(conditions.at(-1)?.cause).toMatchObject({
      code: "NEVER_LISTENED",
      message: expect.stringContaining("did not answer within 1 s"),
    });
    expect(on.replicas).toEqual([]);
  },

  async "a program that is not there fails the revision, with its name"(on) {
    const spec = { kind: "args" as const, args: ["no-such-program", "--port"] };
    const first = await on.revision("web-00001", {}, { spec });
    expect((await on.deploy(first)).at(-1)?.cause).toMatchObject({
      code: "NO_SUCH_PROGRAM",
      message: 'the program "no-such-program" was not found',
      hint: expect.stringMatching(/./),
    });
    expect(on.replicas).toEqual([]);
  },

  async "an entry point that is not there fails the revision, with its name"(on) {
    const spec = { kind: "args" as const, args: ["main.mjs"] };
    const first = await on.revision("web-00001", {}, { spec, entrypoint: ["no-such-program"] });
    expect((await on.deploy(first)).at(-1)?.cause).toMatchObject({
      code: "NO_SUCH_PROGRAM",
      message: 'the program "no-such-program" was not found',
    });
  },

  async "who asks late still learns the cause"(on) {
    const first = await on.revision("web-00001", { start: 7 });
    const conditions = await on.deploy(first);
    expect(await on.conditions(first)).toEqual(conditions.slice(-1));
    await on.want();
    expect(await on.conditions(first)).toEqual(conditions.slice(-1));
  },

  async "the same state again does not try a failed revision again"(on) {
    const first = await on.revision("web-00001", { prints: [started], start: 7 });
    const conditions = await on.deploy(first);
    expect(await on.deploy(first)).toEqual(conditions.slice(-1));
    expect((await on.logs()).map(({ line }) => line)).toEqual(["started"]);
  },

  async "a failed revision that was taken back and is wanted again is tried again"(on) {
    const secret = on.secret("TOKEN", "token");
    on.stage.secret(secret.id, secret.version, undefined);
    const first = await on.revision("web-00001", {}, { secrets: [secret] });
    expect((await on.deploy(first)).at(-1)?.ready).toBe("False");
    await on.want();
    on.secret("TOKEN", "token");
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
  },

  async "the next revision is a first deploy again"(on) {
    await on.deploy(await on.revision("web-00001", { start: 7 }));
    const second = await on.revision("web-00002");
    const conditions = await on.deploy(second);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
    expect(conditions.at(-1)).toEqual(ready(second));
  },
};
