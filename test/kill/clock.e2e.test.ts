import { afterEach, describe, expect, it } from "vitest";
import type { LogLine } from "../../src/contract/types.ts";
import { get } from "../e2e/harness.ts";
import {
  programImage,
  programSpec,
  refOf,
  scope,
  server,
  startPlatform,
  type TestPlatform,
} from "../support/in-process.ts";

// A clock that was set back: what came later stays later.
const HOUR = 3_600_000;

describe("a clock that goes back under a platform", () => {
  let test: TestPlatform;
  let time = Date.UTC(2026, 0, 10);
  afterEach(() => test.close());

  async function deployed(text: string) {
    const image = await programImage(test, server(text, `console.log("line of ${text}");`));
    const { id } = await test.client.applyApp(refOf("web"), programSpec("web"), image, text);
    const events = [];
    for await (const event of test.client.follow(refOf("web"), id, 0)) events.push(event);
    return events;
  }

  it("leaves revisions, events, logs, sessions and keys in their order", async () => {
    test = await startPlatform({
      now: () => new Date(time),
      engine: {
        clock: {
          now: () => time,
          sleep: (ms, signal) =>
            new Promise((resolve) => {
              const timer = setTimeout(resolve, ms);
              signal?.addEventListener("abort", () => resolve(void clearTimeout(timer)), { once: true });
            }),
        },
      },
    });
    const { client } = test;
    const link = await client.consoleLink("/console");
    for (const text of ["one", "two", "three"]) {
      const events = await deployed(text);
      expect(events.at(-1)?.type).toBe("succeeded");
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
      time -= 24 * HOUR;
    }
    const revisions = await client.listRevisions(refOf("web"));
    expect(revisions.map(({ name }) => name)).toEqual(["web-00003", "web-00002", "web-00001"]);
    expect((await client.getApp(refOf("web"))).revision).toBe("web-00003");
    // The one before is the one that served before, not the one with the earlier time.
    expect((await client.setTraffic(refOf("web"))).revision).toBe("web-00002");

    const lines: string[] = [];
    for await (const { line } of client.logs(refOf("web"), { follow: false })) lines.push(line);
    expect(lines.slice(0, 3)).toEqual(["line of one", "line of two", "line of three"]);
    const since: LogLine[] = [];
    const young = new Date(time + 12 * HOUR).toISOString();
    for await (const line of client.logs(refOf("web"), { follow: false, since: young })) since.push(line);
    expect(since.every((line) => line.time >= young)).toBe(true);

    // A link and a key of a time that has not come yet work.
    expect((await get(link.url)).status).toBeLessThan(400);
    const created = await client.createApiKey({ name: "later", kind: "admin" });
    expect(created).toBeDefined();
    expect((await client.listApiKeys()).map(({ name }) => name)).toContain("later");
    expect(await client.listSecrets(scope)).toEqual([]);
  });

  it("does not make an old revision of a restarted platform the newest", async () => {
    test = await startPlatform({ now: () => new Date(time) });
    await deployed("one");
    time -= 240 * HOUR;
    await deployed("two");
    await test.close(true);
    test = await startPlatform({ now: () => new Date(time), dir: test.dir });
    const app = await test.client.getApp(refOf("web"));
    expect([app.revision, app.deployment]).toEqual(["web-00002", 2]);
    expect((await test.client.listRevisions(refOf("web")))[0]?.name).toBe("web-00002");
  });
});
