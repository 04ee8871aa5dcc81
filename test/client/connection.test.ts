import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { DeploymentEvent } from "../../src/contract/types.ts";
import { Redacted } from "../../src/core/redacted.ts";
import { FakeEngine, hangs } from "../engine/fake-engine.ts";
import { cuttingProxy } from "../support/cutting-proxy.ts";
import { programImage, programSpec, refOf, startPlatform, type TestPlatform } from "../support/in-process.ts";

let test: TestPlatform;
afterEach(() => test.close());

describe("the client's connection", () => {
  it("may break at any byte: a followed deployment still gives each event once, in order", async () => {
    const engine = new FakeEngine({ script: hangs });
    test = await startPlatform({ makeEngine: async () => engine });
    const image = await programImage(test, "");
    const { id } = await test.client.applyApp(refOf("web"), programSpec("web"), image, "1");
    // The revision never becomes ready by itself: its log is what the test writes.
    await vi.waitFor(() => expect(engine.applied).toHaveLength(1));
    const cause = { code: "EXITED", message: "it exited" };
    engine.set(refOf("web"), {
      revision: "web-00001",
      ready: "False",
      reason: "RevisionFailed",
      message: "",
      cause,
    });
    const whole: DeploymentEvent[] = [];
    for await (const event of test.client.follow(refOf("web"), id, 0)) whole.push(event);
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, index) => index + 1));
    expect(whole.at(-1)?.type).toBe("failed");

    // The head, the boundary between head and body, and the body: every 7th byte of the answer, and the first few.
    const offsets = [1, 2, 3, ...Array.from({ length: 90 }, (_, index) => index * 7)];
    const apiKey = new Redacted(readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim());
    for (let at = 0; at < offsets.length; at += 3) {
      const proxy = await cuttingProxy(test.platform.port, offsets.slice(at, at + 3));
      const client = new Client({ endpoint: `http://127.0.0.1:${proxy.port}`, apiKey, pause: async () => undefined });
      const seen: DeploymentEvent[] = [];
      for await (const event of client.follow(refOf("web"), id, 0)) seen.push(event);
      expect(seen).toEqual(whole);
      expect(proxy.cuts).toBeGreaterThan(0);
      await client.close();
      proxy.close();
    }
  });

  it("may break while a deploy is handed over: sent again, it is the same deploy", async () => {
    test = await startPlatform({ makeEngine: async () => new FakeEngine({ script: hangs }) });
    const image = await programImage(test, "");
    const proxy = await cuttingProxy(test.platform.port, [0, 40, 150]);
    const apiKey = new Redacted(readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim());
    const client = new Client({ endpoint: `http://127.0.0.1:${proxy.port}`, apiKey, pause: async () => undefined });
    const deployment = await client.applyApp(refOf("web"), programSpec("web"), image, "one-key");
    expect(proxy.cuts).toBe(3);
    expect(deployment).toMatchObject({ id: 1, revision: "web-00001" });
    expect(await test.client.listRevisions(refOf("web"))).toHaveLength(1);
    await client.close();
    proxy.close();
  });
});
