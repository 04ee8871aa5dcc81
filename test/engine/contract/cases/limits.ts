/** What a replica may use, and images that cannot be run. */
import { expect } from "vitest";
import { call, until } from "../../helpers.ts";
import type { Cases } from "../suite.ts";

export const limits: Cases = {
  async "a program that takes more memory than its limit is ended for it, and started again"(on) {
    await on.serveNew("web-00001", {}, { spec: { limits: { mem: "200Mi" } } });
    await expect(call(on.lease(), "/hoard")).rejects.toThrow();
    await until(() => on.replicas[0]?.restarts === 1 && on.replicas[0].state === "Ready");
    expect(on.replicas).toMatchObject([{ lastExit: "out of memory: it used more than its limit of 200Mi" }]);
    expect(await on.ask()).toBe("ok");
  },

  async "a program that takes too much memory before it listens fails the revision for it"(on) {
    const first = await on.revision("web-00001", { start: "hoards" }, { spec: { limits: { mem: "200Mi" } } });
    expect((await on.deploy(first)).at(-1)).toMatchObject({
      ready: "False",
      cause: {
        code: "OUT_OF_MEMORY",
        message: "out of memory: it used more than its limit of 200Mi",
        hint: expect.stringContaining("limits.mem"),
      },
    });
    expect(on.replicas).toEqual([]);
  },

  async "limits that are not reached change nothing"(on) {
    await on.serveNew("web-00001", {}, { spec: { limits: { mem: "512Mi", cpu: "500m", ephemeralStorage: "64Mi" } } });
    expect(await on.ask()).toBe("ok");
    expect(on.replicas).toMatchObject([{ restarts: 0, state: "Ready" }]);
  },

  async "an image that is not there fails the revision, with its digest in words"(on) {
    const digest = `sha256:${"0".repeat(64)}`;
    const first = { ...(await on.revision("web-00001")), digest };
    expect((await on.deploy(first)).at(-1)).toMatchObject({
      ready: "False",
      cause: { code: "IMAGE_UNREADABLE", message: expect.stringContaining(digest), hint: expect.stringMatching(/./) },
    });
    expect(on.replicas).toEqual([]);
  },

  async "an image that is not there leaves the revision before as it is"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const second = { ...(await on.revision("web-00002")), digest: `sha256:${"0".repeat(64)}` };
    expect((await on.deploy(second, first)).at(-1)).toMatchObject({ cause: { code: "IMAGE_UNREADABLE" } });
    expect(await on.ask()).toBe("one");
  },
};
