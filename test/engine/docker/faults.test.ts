/** The runtime `docker` on an engine that has a fault. */
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { OutputLine } from "../../../src/core/replica-host.ts";
import { systemClock } from "../../../src/engine/local/clock.ts";
import { createDockerRuntime } from "../../../src/engine/local/docker/docker-runtime.ts";
import { EstablishedRevisions } from "../../../src/engine/local/established.ts";
import { DEFAULT_LOG_LIMITS } from "../../../src/engine/local/logs/app-log.ts";
import type { RunningReplica, Runtime } from "../../../src/engine/local/runtime.ts";
import { ref, revisionOf, temporaryDirectory, until } from "../helpers.ts";
import { createDockerEngine, dockerOptions } from "./docker-engine.ts";
import { type FaultyEngine, refuse, startFaultyEngine, stdout } from "./faulty-engine.ts";

const never = new AbortController().signal;

/** Options for an engine that says of each image that it has it: nothing is read of the platform's own. */
function optionsOn(engine: FaultyEngine, base: string) {
  const env = { DOCKER_HOST: `unix://${engine.socketPath}` };
  const { platformUrl: _, ...options } = dockerOptions(base, temporaryDirectory(), env);
  return { ...options, outline: undefined };
}

/** The runtime on that engine, with what it logs and what its replicas print. */
async function runtimeOn(engine: FaultyEngine, beforeLines: () => Promise<unknown> = async () => {}) {
  const messages: string[] = [];
  const lines: string[] = [];
  const options = optionsOn(engine, temporaryDirectory());
  const runtime = await createDockerRuntime({ ...options, log: (message) => messages.push(message) });
  onTestFinished(async () => {
    engine.end();
    await runtime.close();
  });
  const output = async (printed: OutputLine[]) => {
    await beforeLines();
    lines.push(...printed.map(({ line }) => line));
  };
  return { runtime, messages, lines, start: () => start(runtime, output) };
}

async function start(runtime: Runtime, output: (lines: OutputLine[]) => Promise<void>): Promise<RunningReplica> {
  const revision = revisionOf("web-00001", `sha256:${"1".repeat(64)}`, { spec: { kind: "args", args: ["server"] } });
  const content = await runtime.prepare(ref, revision, never);
  const log = { dir: "/nowhere", limits: DEFAULT_LOG_LIMITS, moved: () => undefined };
  return runtime.start({ ref, revision, replica: "web-00001-1", content, output, log, restarts: 0 });
}

it("makes a project's network again that somebody has removed", async () => {
  const engine = await startFaultyEngine();
  const { start } = await runtimeOn(engine);
  await start();
  const before = [...engine.networks];
  expect(before).toHaveLength(1);
  engine.networks.clear(); // docker network prune
  await start();
  expect([...engine.networks]).toEqual(before);
  // What was made for the first try is gone.
  expect(engine.containers.size).toBe(2);
});

it("is asked again each second while it is away, which is no end of the app, and told of once in the log", async () => {
  let isAway = true;
  const engine = await startFaultyEngine((call, res) => {
    if (isAway && call.startsWith("GET /images/")) return res.destroy() !== undefined;
    return false;
  });
  const base = temporaryDirectory();
  const options = optionsOn(engine, base);
  new EstablishedRevisions(join(options.stateDir, "established")).add(ref, "web-00001"); // it has served before
  const messages: string[] = [];
  const pauses: number[] = [];
  const clock = {
    now: () => Date.now(),
    sleep: async (ms: number, signal?: AbortSignal) => {
      if (isAway) pauses.push(ms);
      if (pauses.length === 7) isAway = false;
      await systemClock.sleep(isAway ? 0 : ms, signal);
    },
  };
  const local = await createDockerEngine({ ...options, clock, log: (message) => messages.push(message) });
  onTestFinished(async () => {
    engine.end();
    await local.close();
  });
  const revision = revisionOf("web-00001", `sha256:${"1".repeat(64)}`, { spec: { kind: "args", args: ["server"] } });
  await local.apply({ ref, revisions: [revision], traffic: revision.name });
  await until(() => engine.containers.size === 1);
  expect(pauses).toEqual(Array.from({ length: 7 }, () => 1000));
  expect(local.replicas(ref)).toMatchObject([{ restarts: 0, state: "Starting" }]);
  expect(messages.filter((message) => message.startsWith("the container engine"))).toEqual([
    expect.stringMatching(/^the container engine does not answer: .*; it is asked again until it does$/),
    "the container engine answers again",
  ]);
});

it("makes it once more only", async () => {
  const engine = await startFaultyEngine((call) => {
    if (call.endsWith("/start")) engine.networks.clear();
    return false;
  });
  const { start } = await runtimeOn(engine);
  await expect(start()).rejects.toMatchObject({ failure: { message: expect.stringMatching(/network .* not found/) } });
  expect(engine.calls.filter((call) => call === "POST /networks/create")).toHaveLength(2);
  expect(engine.containers.size).toBe(0);
});

it("closes the connection that reads a container's output when the start fails after it", async () => {
  for (const failing of [/\/start$/, /^GET \/containers\/[^/]+\/json$/]) {
    const engine = await startFaultyEngine((call, res) => failing.test(call) && refuse(res, 500, "out of order"));
    const { start } = await runtimeOn(engine);
    await expect(start()).rejects.toMatchObject({ failure: { message: expect.stringContaining("out of order") } });
    const [connection] = engine.attached;
    await until(() => connection?.destroyed);
    expect(engine.containers.size).toBe(0);
  }
});

it("recovers without what the engine cannot remove, and says so", async () => {
  const engine = await startFaultyEngine((call, res) => {
    const isStuck = call === "DELETE /containers/stuck" || call.startsWith("DELETE /networks/");
    return isStuck && refuse(res, 500, "device or resource busy");
  });
  for (const id of ["one", "stuck", "two"]) engine.containers.add(id);
  engine.networks.add("appctl-left");
  const { runtime, messages } = await runtimeOn(engine);
  await runtime.recover();
  expect([...engine.containers]).toEqual(["stuck"]);
  expect(messages).toEqual([
    "container stuck of an earlier platform could not be removed, and is left: device or resource busy",
    "a network of an earlier platform could not be removed, and is left: device or resource busy",
    "ended 2 replica(s) that an earlier platform left running",
  ]);
});

it("reads the output of a container again when the connection broke, and says once that lines may be missing", async () => {
  const engine = await startFaultyEngine();
  const { start, lines, messages } = await runtimeOn(engine);
  const replica = await start();
  for (const [at, text] of ["one", "two", "three"].entries()) {
    const connection = await until(() => engine.attached[at]);
    connection.write(stdout(`${text}\nhalf of ${text}`));
    await until(() => lines.includes(text));
    if (at < 2) connection.destroy();
  }
  engine.end();
  await replica.exited;
  expect(lines).toEqual(["one", "half of one", "two", "half of two", "three", "half of three"]);
  expect(messages).toEqual([
    expect.stringMatching(/^the output of container container-\S* broke off and is read again: lines may be missing$/),
  ]);
  expect(engine.attached).toHaveLength(3);
});

it("gives what a container printed last, and is read after its end, also when the connection broke before", async () => {
  const engine = await startFaultyEngine();
  let isSlow = false;
  let replica: RunningReplica | undefined;
  const { start, lines } = await runtimeOn(engine, async () => isSlow && (await until(() => replica?.hasExited)));
  replica = await start();
  engine.attached[0]?.destroy();
  const connection = await until(() => engine.attached[1]);
  isSlow = true;
  // More than comes at once: most of it is not yet here when the end is known.
  const last = Array.from({ length: 100 }, (_, at) => `${at} `.padEnd(10_000, "x"));
  for (const line of last) connection.write(stdout(`${line}\n`));
  engine.end();
  await replica.exited;
  expect(lines.length).toBe(100);
  expect(lines).toEqual(last);
});

it("ends with its container while the output that broke off cannot be had again", async () => {
  const engine = await startFaultyEngine();
  const { start } = await runtimeOn(engine);
  const replica = await start();
  engine.silentAttach = true;
  engine.attached[0]?.destroy();
  await until(() => engine.calls.filter((call) => call.endsWith("/attach")).length === 2);
  engine.end();
  expect(await replica.exited).toMatchObject({ code: 0 });
});

it("does not attach again to a container that has ended, before the engine has told its end", async () => {
  let looks = 0;
  let ended = false;
  const engine = await startFaultyEngine((call, res) => {
    if (!ended || !/^GET \/containers\/[^/]+\/json$/.test(call)) return false;
    looks++;
    res.end(JSON.stringify({ State: { Running: false, Pid: 0, ExitCode: 3, OOMKilled: false } }));
    return true;
  });
  const { start } = await runtimeOn(engine);
  const replica = await start();
  ended = true;
  engine.attached[0]?.destroy();
  await until(() => looks > 1); // a second look: what came of the first has been done
  expect(engine.calls.filter((call) => call.endsWith("/attach"))).toHaveLength(1);
  engine.end();
  expect(await replica.exited).toMatchObject({ code: 3 });
});
