import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DeploymentEvent } from "../../src/contract/types.ts";
import { isAppctlError } from "../../src/core/errors.ts";
import { FakeEngine, fails, hangs, succeeds } from "../engine/fake-engine.ts";
import { programImage, programSpec, refOf, startPlatform, type TestPlatform } from "../support/in-process.ts";

// The deployer above the seam: with an engine that does what the test says.
const web = refOf("web");
let engine: FakeEngine;
let test: TestPlatform;
let replica: ReturnType<typeof createServer>;

beforeEach(async () => {
  replica = createServer((_, res) => res.end("answered")).listen(0, "127.0.0.1");
  await once(replica, "listening");
  engine = new FakeEngine({ address: { host: "127.0.0.1", port: (replica.address() as AddressInfo).port } });
  test = await startPlatform({ makeEngine: async () => engine });
});
afterEach(async () => {
  await test.close();
  replica.closeAllConnections();
  replica.close();
});

const apply = async (key: string, text = "", more = {}) =>
  test.client.applyApp(web, programSpec("web", more), await programImage(test, text), key);

async function verdict(deployment: number): Promise<DeploymentEvent> {
  let last: DeploymentEvent | undefined;
  for await (const event of test.client.follow(web, deployment, 0)) last = event;
  if (!last) throw new Error("no event");
  return last;
}
const codeOf = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.then(
    () => "no error",
    (e: unknown) => e,
  );
  return isAppctlError(error) ? error.code : error;
};
const last = () => engine.applied.at(-1);

describe("the deployer", () => {
  it("wants the new revision beside the old until it is proven, then alone", async () => {
    await verdict((await apply("1", "one")).id);
    const second = await apply("2", "two");
    expect((await verdict(second.id)).type).toBe("succeeded");
    // The old one is taken away after the verdict: nobody waits for its last requests.
    await vi.waitFor(() => expect(engine.applied).toHaveLength(4));
    const states = engine.applied.map(({ revisions, traffic }) => [revisions.map(({ name }) => name), traffic]);
    expect(states).toEqual([
      [["web-00001"], "web-00001"],
      [["web-00001"], "web-00001"],
      [["web-00002", "web-00001"], "web-00002"],
      [["web-00002"], "web-00002"],
    ]);
  });

  it("goes back to what served when a revision fails, and tries an equal spec again as a new revision", async () => {
    await verdict((await apply("1", "one")).id);
    const cause = { code: "EXITED", message: "it exited with code 3", exitCode: 3 };
    engine.script = fails(cause);
    const failed = await verdict((await apply("2", "two")).id);
    expect(failed).toMatchObject({ type: "failed", revision: "web-00002", cause, serving: "web-00001" });
    const { events } = await test.client.deploymentEvents(web, 2, 0);
    // The event after it says why.
    expect(events.at(-2)).toMatchObject({ phase: "Failed", message: 'Revision "web-00002" failed.' });
    expect(last()).toMatchObject({ traffic: "web-00001" });
    expect(last()?.revisions.map(({ name }) => name)).toEqual(["web-00001"]);
    expect(await test.client.getApp(web)).toMatchObject({
      revision: "web-00001",
      message: expect.stringContaining("failed"),
    });
    engine.script = succeeds;
    expect(await apply("3", "two")).toMatchObject({ revision: "web-00003", unchanged: false });
  });

  it("is no success when the public address does not answer from the new revision", async () => {
    // The engine says that it is ready, but the replica breaks every connection.
    replica.removeAllListeners("request").on("request", (req) => req.socket.destroy());
    const event = await verdict((await apply("1", "one", { startTimeout: 1 })).id);
    expect(event).toMatchObject({ type: "failed", cause: { code: "NOT_LIVE" }, serving: null });
    expect(event).toMatchObject({
      cause: { message: expect.stringMatching(/^it was ready, but /), hint: expect.stringMatching(/./) },
    });
  });

  it("fails with the cause of a crash that comes as soon as it is ready", async () => {
    await verdict((await apply("1", "one")).id);
    const cause = { code: "APP_THREW", message: "Error: late", stack: ["at app.ts:3:12"], logs: [] };
    engine.script = () => (life) => {
      life.listens();
      setTimeout(() => life.fail(cause), 20);
    };
    replica.removeAllListeners("request").on("request", (req) => req.socket.destroy());
    const failed = await verdict((await apply("2", "two")).id);
    expect(failed).toMatchObject({ type: "failed", cause, serving: "web-00001" });
  });

  it("says that nothing serves when a stopped app fails to start again", async () => {
    await verdict((await apply("1", "one")).id);
    await test.client.stopApp(web);
    engine.script = fails({ code: "EXITED", message: "it exited" });
    const failed = await verdict((await apply("2", "two")).id);
    expect(failed).toMatchObject({ type: "failed", serving: null });
  });

  it("moves traffic back, to a name or to the one before, and refuses what cannot be", async () => {
    expect(await codeOf(test.client.setTraffic(web))).toBe("NOT_FOUND");
    for (const version of ["1", "2", "3"]) await verdict((await apply(version, version)).id);
    const back = await test.client.setTraffic(web);
    expect(back.revision).toBe("web-00002");
    await verdict(back.id);
    await verdict((await test.client.setTraffic(web, "web-00003")).id);
    expect((await test.client.getApp(web)).revision).toBe("web-00003");
    expect(await codeOf(test.client.setTraffic(web, "web-00009"))).toBe("NOT_FOUND");
    engine.script = fails({ code: "EXITED", message: "it exited" });
    await verdict((await apply("4", "4")).id);
    expect(await codeOf(test.client.setTraffic(web, "web-00004"))).toBe("REVISION_FAILED");
    const active = (await test.client.listRevisions(web)).filter((revision) => revision.active);
    expect(active.map(({ name }) => name)).toEqual(["web-00003"]);
  });

  it("stops and starts; an app that never was ready cannot be started", async () => {
    engine.script = fails({ code: "EXITED", message: "it exited" });
    await verdict((await apply("1", "one")).id);
    expect(await codeOf(test.client.startApp(web))).toBe("NEVER_DEPLOYED");
    engine.script = succeeds;
    await verdict((await apply("2", "one")).id);
    expect((await test.client.stopApp(web)).status).toBe("Stopped");
    expect(last()).toMatchObject({ revisions: [], traffic: null });
    expect((await verdict((await test.client.startApp(web)).id)).type).toBe("succeeded");
    expect((await test.client.getApp(web)).status).toBe("Running");
  });

  it("ends a deploy under way when the app is deleted, and a new app of that name starts from the beginning", async () => {
    engine.script = hangs;
    await apply("1", "one");
    await test.client.deleteApp(web);
    expect(await codeOf(test.client.getApp(web))).toBe("NOT_FOUND");
    engine.script = succeeds;
    const again = await apply("1", "one");
    expect(again).toMatchObject({ id: 1, revision: "web-00001" });
    expect((await verdict(again.id)).type).toBe("succeeded");
  });

  it("keeps a sub-domain for an app, refuses one that is taken, and takes the one that is asked for", async () => {
    const first = await apply("1", "one");
    expect((await apply("2", "two")).endpoint).toBe(first.endpoint);
    // An address changes with the revision that asks for it, when that serves.
    engine.script = fails({ code: "EXITED", message: "it exited" });
    await verdict((await apply("3", "three", { subdomain: "mine" })).id);
    expect((await test.client.getApp(web)).endpoint).toBe(first.endpoint);
    engine.script = succeeds;
    expect(await verdict((await apply("4", "three", { subdomain: "mine" })).id)).toMatchObject({
      type: "succeeded",
      endpoint: expect.stringContaining("//mine.apps.localhost:"),
    });
    const other = test.client.applyApp(
      refOf("other"),
      programSpec("other", { subdomain: "mine" }),
      await programImage(test, ""),
      "1",
    );
    expect(await codeOf(other)).toBe("SUBDOMAIN_TAKEN");
    expect(await codeOf(test.client.getApp(refOf("other")))).toBe("NOT_FOUND");
  });

  it("refuses an image that is not whole, and secrets that are missing, before it changes anything", async () => {
    const nowhere = { reference: "x:y", digest: `sha256:${"0".repeat(64)}` };
    expect(await codeOf(test.client.applyApp(web, programSpec("web"), nowhere, "1"))).toBe("IMAGE_INCOMPLETE");
    const secrets = [{ key: "NONE", envVar: "NONE", mount: "env" as const }];
    expect(await codeOf(apply("2", "", { secrets }))).toBe("MISSING_SECRETS");
    expect(await codeOf(test.client.getApp(web))).toBe("NOT_FOUND");
    expect(engine.applied).toEqual([]);
  });
});
