import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { DeploymentEvent } from "../../src/contract/types.ts";
import { get } from "../e2e/harness.ts";
import { programImage, programSpec, refOf, server, startPlatform, type TestPlatform } from "../support/in-process.ts";

// Every status line is true: while the platform is held at a step, the stream stands still on that step's line, and what
// the line says can be seen from outside.
let test: TestPlatform;
afterEach(() => test.close());

/** Holds the engine at each step until the test lets it go on. */
class Steps {
  readonly #open = new Map<string, () => void>();
  readonly #arrived = new Map<string, () => void>();
  held = true;

  gate = async (step: string): Promise<void> => {
    if (!this.held) return;
    const released = new Promise<void>((resolve) => this.#open.set(step, resolve));
    this.#arrived.get(step)?.();
    await released;
  };

  async at(step: string): Promise<void> {
    if (!this.#open.has(step)) await new Promise<void>((resolve) => this.#arrived.set(step, resolve));
  }

  release(step: string): void {
    this.#open.get(step)?.();
    this.#open.delete(step);
  }
}

const text = (event: DeploymentEvent) =>
  event.type === "status" ? `${event.phase}: ${event.reason ? `${event.reason}: ` : ""}${event.message}` : event.type;

async function lines(name: string, deployment: number): Promise<string[]> {
  const { client } = test;
  return (await client.deploymentEvents(refOf(name), deployment, 0)).events.map(text);
}

/** The log, after it has had time to say more than it should. */
async function standsStill(name: string, deployment: number): Promise<string[]> {
  const before = await lines(name, deployment);
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(await lines(name, deployment)).toEqual(before);
  return before;
}

/** Waits for a line to come. */
async function untilLine(name: string, deployment: number, line: string): Promise<void> {
  for (let seen: string[] = []; !seen.some((one) => one.includes(line)); ) {
    const page = await test.client.deploymentEvents(refOf(name), deployment, seen.length);
    seen = [...seen, ...page.events.map(text)];
    if (page.done && !seen.some((one) => one.includes(line))) throw new Error(`no ${line} in ${seen.join("\n")}`);
  }
}

const PENDING = "Pending: App is pending deployment";
const MISSING = 'Pending: RevisionMissing: Configuration "web" is waiting for a Revision to become ready.';
const MIGRATING = "Pending: TrafficNotMigrated: Traffic is not yet migrated to the latest revision.";
const INGRESS = "Pending: IngressNotConfigured: Ingress has not yet been reconciled.";
const PROOF = "Pending: Uninitialized: Waiting for load balancer to be ready";
const STARTED = "Started: Service is ready";

describe("status lines", () => {
  it("stand still on each step of a first deploy and of an update", async () => {
    const steps = new Steps();
    test = await startPlatform({ engine: { beforeStep: (step) => steps.gate(step) } });
    const { client, platform } = test;
    const gate = join(test.dir, "answer");
    // The readiness probe is the first request; the proof of live is the second, and waits until the test lets it.
    const holding = server("one").replace(
      "res.end",
      `(globalThis.n = (globalThis.n ?? 0) + 1) === 2 ? wait(res) : res.end`,
    );
    const program = `import { existsSync } from "node:fs";
      const wait = (res) => existsSync(${JSON.stringify(gate)}) ? res.end("one") : setTimeout(wait, 10, res);\n${holding}`;
    const first = await client.applyApp(refOf("web"), programSpec("web"), await programImage(test, program), "1");
    const status = async () => {
      const answer = await get(first.endpoint.replace(/:\d+$/, `:${platform.port}`));
      return [answer.status, answer.headers["appctl-gateway"] ?? answer.headers["appctl-revision"]];
    };

    await steps.at("prepare");
    expect(await standsStill("web", first.id)).toEqual([PENDING, MISSING]);
    expect((await client.getApp(refOf("web"))).replicas.filter(({ state }) => state === "Ready")).toEqual([]);
    expect(await status()).toEqual([503, "NO_REPLICA"]);
    // A second deploy is accepted, and its only line says that nobody works on it yet.
    const queued = await client.applyApp(
      refOf("web"),
      programSpec("web"),
      await programImage(test, server("two")),
      "2",
    );
    expect(await standsStill("web", queued.id)).toEqual([PENDING]);

    steps.release("prepare");
    await steps.at("ready");
    expect(await standsStill("web", first.id)).toEqual([PENDING, MISSING]);
    steps.release("ready");
    await steps.at("route");
    expect(await standsStill("web", first.id)).toEqual([PENDING, MISSING, INGRESS]);
    expect(platform.services.engine.serving(refOf("web"))).toBeNull();

    steps.release("route");
    await untilLine("web", first.id, "Uninitialized");
    expect(await standsStill("web", first.id)).toEqual([PENDING, MISSING, INGRESS, PROOF]);
    expect(platform.services.engine.serving(refOf("web"))).toBe("web-00001");
    writeFileSync(gate, "");
    await untilLine("web", first.id, STARTED);
    expect(await lines("web", first.id)).toEqual([PENDING, MISSING, INGRESS, PROOF, STARTED, "succeeded"]);

    // The update that waited: until its route is switched, the old revision serves.
    await steps.at("prepare");
    expect(await standsStill("web", queued.id)).toEqual([PENDING, MIGRATING]);
    expect(await status()).toEqual([200, "web-00001"]);
    steps.release("prepare");
    await steps.at("ready");
    expect(await standsStill("web", queued.id)).toEqual([PENDING, MIGRATING]);
    steps.release("ready");
    await steps.at("route");
    expect(await standsStill("web", queued.id)).toEqual([PENDING, MIGRATING, INGRESS]);
    expect(await status()).toEqual([200, "web-00001"]);
    steps.release("route");
    await untilLine("web", queued.id, STARTED);
    expect(await lines("web", queued.id)).toEqual([PENDING, MIGRATING, INGRESS, PROOF, STARTED, "succeeded"]);
    expect(await status()).toEqual([200, "web-00002"]);
  });

  it("say so at once when nothing has changed, after the public address was asked again", async () => {
    test = await startPlatform();
    const { client } = test;
    const image = await programImage(test, server("same"));
    const first = await client.applyApp(refOf("web"), programSpec("web"), image, "1");
    await untilLine("web", first.id, STARTED);
    const second = await client.applyApp(refOf("web"), programSpec("web"), image, "2");
    await untilLine("web", second.id, STARTED);
    expect(second).toMatchObject({ unchanged: true, revision: "web-00001" });
    expect(await lines("web", second.id)).toEqual([STARTED, "succeeded"]);
    // A request that is sent again because its answer was lost is the same request.
    expect(await client.applyApp(refOf("web"), programSpec("web"), image, "2")).toEqual(second);
    expect((await client.listRevisions(refOf("web"))).map(({ name }) => name)).toEqual(["web-00001"]);
  });

  it("go on where they were after the platform was stopped in the middle", async () => {
    const steps = new Steps();
    test = await startPlatform({ engine: { beforeStep: (step) => steps.gate(step) } });
    const image = await programImage(test, server("one"));
    const first = await test.client.applyApp(refOf("web"), programSpec("web"), image, "1");
    await steps.at("prepare");
    const closing = test.close(true);
    steps.held = false;
    steps.release("prepare");
    await closing;
    test = await startPlatform({ dir: test.dir });
    await untilLine("web", first.id, STARTED);
    expect(await lines("web", first.id)).toEqual([PENDING, MISSING, INGRESS, PROOF, STARTED, "succeeded"]);
  });
});
