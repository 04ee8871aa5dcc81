import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, PlatformStatus } from "../../src/contract/types.ts";
import { startTimeOf } from "../../src/core/start-time.ts";
import { isLong } from "../support/amount.ts";
import { get, World } from "./harness.ts";

// Three processes: the supervisor holds the apps, the gateway serves them, and the platform may come and go.
let world: World;
let endpoint: string;
const status = () => world.json<PlatformStatus>(["platform", "status"]);

beforeAll(async () => {
  world = await World.create();
  const program =
    'require("node:http").createServer((_, res) => res.end("program " + process.pid)).listen(process.env.PORT)';
  const dir = world.folder("apps", {
    "app.ts": `import { App } from "appctl";
      const fetch = () => new Response(\`web \${process.pid}\`);
      export const web = new App({ name: "web", requiresAuth: false, frameworkApp: { fetch } });
      export const program = new App({ name: "program", requiresAuth: false, args: ["node", "-e", ${JSON.stringify(program)}] });`,
  });
  for (const name of ["program", "web"]) {
    endpoint = (await world.ok(["deploy", "app.ts", name, "-o", "url"], { cwd: dir })).trim();
  }
});
afterAll(() => world.close());

/** Asks the app again and again on kept connections, until it is stopped; gives what was not a good answer. */
function load(clients = 8) {
  const { hostname, port, host } = new URL(endpoint);
  expect(hostname).toMatch(/\.localhost$/);
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const failures: string[] = [];
  let [answers, isOver] = [0, false];
  const ask = () =>
    new Promise<void>((resolve) => {
      request({ host: "127.0.0.1", port, headers: { host }, agent }, (response) => {
        if (response.statusCode !== 200) failures.push(String(response.statusCode));
        response.resume().once("end", () => {
          answers++;
          resolve();
        });
      })
        .once("error", (error) => {
          failures.push(error.message);
          resolve();
        })
        .end();
    });
  const running = Array.from({ length: clients }, async () => {
    while (!isOver) await ask();
  });
  return {
    failures,
    get answers() {
      return answers;
    },
    async stop() {
      isOver = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}

/** Waits for the platform that takes the place of the one with that pid. */
async function another(pid: number): Promise<PlatformStatus> {
  for (;;) {
    const result = await world.run(["platform", "status", "-o", "json"]);
    if (result.code === 0 && JSON.parse(result.stdout).pid !== pid) return JSON.parse(result.stdout);
    await delay(50);
  }
}

describe("an app under load answers without one failed request", () => {
  it("while its platform is killed, again and again", async () => {
    const before = (await get(`${endpoint}/`)).body;
    const requests = load();
    const first = await status();
    let { pid } = first;
    for (let kills = 0; kills < (isLong ? 20 : 3); kills++) {
      process.kill(pid, "SIGKILL");
      ({ pid } = await another(pid));
      const seen = requests.answers;
      while (requests.answers < seen + 20) await delay(5);
    }
    await requests.stop();
    expect(requests.failures).toEqual([]);
    expect((await get(`${endpoint}/`)).body).toBe(before);
    const last = await status();
    expect([last.supervisorPid, last.gatewayPids]).toEqual([first.supervisorPid, first.gatewayPids]);
    expect(last.restarts?.at(-1)).toMatchObject({ process: "platform", reason: "SIGKILL" });
    expect(await world.json<AppStatus>(["get", "apps", "web"])).toMatchObject({
      status: "Running",
      replicas: [{ state: "Ready", restarts: 0, pid: Number(before.split(" ")[1]) }],
    });
    // The log goes on where it was, and the next deploy works as before.
    await world.ok(["deploy", "app.ts", "web"], { cwd: join(world.home, "apps") });
  });

  it("while its platform stands still", async () => {
    const requests = load();
    const { pid } = await status();
    process.kill(pid, "SIGSTOP");
    const seen = requests.answers;
    await delay(isLong ? 10_000 : 1_000);
    expect(requests.answers).toBeGreaterThan(seen + 100);
    process.kill(pid, "SIGCONT");
    expect((await status()).pid).toBe(pid);
    await requests.stop();
    expect(requests.failures).toEqual([]);
  });
});

it("a command that meets a platform that is being started again waits for it", async () => {
  const { pid } = await status();
  process.kill(pid, "SIGKILL");
  const { code, stderr } = await world.run(["get", "apps"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect((await status()).pid).not.toBe(pid);
});

it("a gateway that is killed loses only the requests that it has under way", async () => {
  const first = await status();
  const requests = load(4);
  while (requests.answers < 50) await delay(5);
  for (const pid of first.gatewayPids ?? []) process.kill(pid, "SIGKILL");
  const seen = requests.answers;
  while (requests.answers < seen + 200) await delay(5);
  await requests.stop();
  expect(requests.failures.length).toBeLessThanOrEqual(4);
  const last = await status();
  expect(last.pid).toBe(first.pid);
  expect(last.gatewayPids).not.toEqual(first.gatewayPids);
  expect(last.restarts?.at(-1)).toMatchObject({ process: "gateway", reason: "SIGKILL" });
});

it("after the supervisor was killed, the next command has everything running again", async () => {
  const { supervisorPid = 0, pid } = await status();
  const apps = await Promise.all(["web", "program"].map((name) => world.json<AppStatus>(["get", "apps", name])));
  const pids = apps.flatMap(({ replicas }) => replicas.map((replica) => replica.pid ?? 0));
  process.kill(supervisorPid, "SIGKILL");
  while (startTimeOf(pid) !== undefined) await delay(10);
  const { code } = await world.run(["get", "apps"]);
  expect(code).toBe(0);
  for (const name of ["web", "program"]) {
    let app = await world.json<AppStatus>(["get", "apps", name]);
    while (app.status !== "Running") app = await world.json<AppStatus>(["get", "apps", name]);
    const { body } = await get(`${app.endpoint}/`);
    expect(pids).not.toContain(Number(body.split(" ")[1]));
  }
  // None of the old ones is left.
  for (const old of pids) expect(startTimeOf(old)).toBeUndefined();
});

it("a stop ends all of it, and says so in its log", async () => {
  const { pid, supervisorPid = 0, gatewayPids = [] } = await status();
  await world.ok(["platform", "stop"]);
  for (const one of [pid, supervisorPid, ...gatewayPids]) expect(startTimeOf(one), String(one)).toBeUndefined();
  expect(readFileSync(join(world.state, "platform.log"), "utf8")).toMatch(/stopped\n$/);
});
