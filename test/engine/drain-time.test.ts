import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import type { AppSpec } from "../../src/contract/types.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Clock } from "../../src/engine/local/clock.ts";
import { createLocalEngine } from "../../src/engine/local/local-engine.ts";
import type { ReplicaExit, Runtime } from "../../src/engine/local/runtime.ts";
import { temporaryDirectory } from "./helpers.ts";

const ref = { project: "default", domain: "development", name: "web" };
const spec = { name: "web", kind: "args", args: ["x"], startTimeout: 120, limits: {} } as unknown as AppSpec;
const revision = { name: "web-00001", spec, digest: `sha256:${"0".repeat(64)}`, env: {}, secrets: [] };
const EXIT = { code: 0, signal: null, outOfMemory: false, outOfStorage: false, addressTaken: false };

let engine: Engine | undefined;
afterEach(() => engine?.close());

/** A runtime with one replica, which answers every request and ends when it is asked to. */
async function oneReplica() {
  const server = createServer((_, res) => res.end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const exited = Promise.withResolvers<ReplicaExit>();
  const stops: number[] = [];
  const end = (graceMs: number) => {
    stops.push(graceMs);
    server.close();
    server.closeAllConnections();
    exited.resolve(EXIT);
    return exited.promise;
  };
  const replica = {
    pid: null,
    address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    token: undefined,
    listening: Promise.resolve(),
    hasExited: false,
    exited: exited.promise,
    listeningPorts: () => undefined,
    memory: () => undefined,
    stop: end,
    kill: () => end(0),
  };
  const runtime = {
    name: "fake",
    facts: () => ({}),
    recover: async () => {},
    prepare: async () => ({ dir: "/", packagesDir: undefined, roots: [] }),
    start: async () => replica,
    forget: async () => {},
    close: async () => {},
  } as unknown as Runtime;
  return { runtime, stops };
}

/** A clock whose sleeps end when the test says so. */
function heldClock() {
  const sleeps: { ms: number; wake(): void }[] = [];
  const clock: Clock = {
    now: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        sleeps.push({ ms, wake: resolve });
        signal?.addEventListener("abort", () => resolve());
      }),
  };
  return { clock, sleeps };
}

it("a replica has 30 s for the requests under way, and 10 s after SIGTERM", async () => {
  const { runtime, stops } = await oneReplica();
  const { clock, sleeps } = heldClock();
  engine = await createLocalEngine({ stateDir: temporaryDirectory(), log: () => {}, clock }, runtime);
  await engine.apply({ ref, revisions: [revision], traffic: revision.name });
  const lease = await vi.waitUntil(() => engine?.lease(ref));
  sleeps.length = 0;
  await engine.apply({ ref, revisions: [], traffic: null });
  await vi.waitUntil(() => sleeps.length > 0);
  expect(sleeps.map(({ ms }) => ms)).toEqual([30_000]);
  expect(stops).toEqual([]);
  sleeps[0]?.wake();
  await vi.waitUntil(() => stops.length > 0);
  expect(stops).toEqual([10_000]);
  lease?.release();
});
