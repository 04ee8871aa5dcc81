import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, PlatformStatus } from "../../src/contract/types.ts";
import { startTimeOf } from "../../src/core/start-time.ts";
import { isLong } from "../support/amount.ts";
import { get, repository, World } from "./harness.ts";

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

describe("an upgrade", () => {
  /** The package as it is, with another version; `broken`: its platform ends at once. */
  function packageOf(version: string, broken = false): string {
    const dir = world.folder(`appctl-${version}`);
    for (const name of ["bin", "dist", "templates"])
      cpSync(join(repository, name), join(dir, name), { recursive: true });
    symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
    const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    writeFileSync(join(dir, "package.json"), JSON.stringify({ ...manifest, version }));
    if (broken) writeFileSync(join(dir, "dist", "platform.js"), 'throw new Error("broken");');
    return join(dir, "bin", "appctl.js");
  }

  it("takes the place of platform and gateway without one failed request, and keeps the apps", async () => {
    const before = (await get(`${endpoint}/`)).body;
    const first = await status();
    const requests = load();
    while (requests.answers < 50) await delay(5);
    const program = packageOf("98.0.0");
    const upgraded = await world.run(["platform", "upgrade"], { program });
    expect([upgraded.code, upgraded.stdout]).toEqual([0, "The local platform is appctl 98.0.0 now. Its apps go on.\n"]);
    // Those who have a connection are told to make a new one, to the new gateway.
    const seen = requests.answers;
    while (requests.answers < seen + 200) await delay(5);
    const last = await status();
    expect(last).toMatchObject({ version: "98.0.0", supervisorPid: first.supervisorPid });
    expect(last.pid).not.toBe(first.pid);
    let pids = last.gatewayPids ?? [];
    while (pids.some((pid) => first.gatewayPids?.includes(pid))) pids = (await status()).gatewayPids ?? [];
    expect(pids).toHaveLength(1);
    await requests.stop();
    expect(requests.failures).toEqual([]);
    expect((await get(`${endpoint}/`)).body).toBe(before);
    expect((await world.run(["platform", "upgrade"], { program })).stdout).toContain("is appctl 98.0.0 already");
    expect(await world.ok(["platform", "status"], { program })).toMatch(
      /^Supervisor PID: +\d+ \(appctl 0\.1\.0, until platform stop\)$/m,
    );
  });

  it("is made by any command of a newer version", async () => {
    const before = (await get(`${endpoint}/`)).body;
    const { code, stderr } = await world.run(["get", "apps"], { program: packageOf("99.0.0") });
    expect([code, stderr]).toEqual([0, "Updated the local platform from appctl 98.0.0 to 99.0.0. Its apps go on.\n"]);
    expect((await get(`${endpoint}/`)).body).toBe(before);
  });

  it("that does not start is taken back", async () => {
    const { code, stderr } = await world.run(["platform", "upgrade"], { program: packageOf("99.0.1", true) });
    expect([code, stderr]).toEqual([6, expect.stringContaining("appctl 99.0.1 did not start")]);
    expect((await status()).version).toBe("99.0.0");
    expect((await get(`${endpoint}/`)).status).toBe(200);
  });
});

it("a command that meets a platform that is being started again waits for it", async () => {
  const { pid } = await status();
  process.kill(pid, "SIGKILL");
  expect((await world.run(["platform", "status"])).code).toBe(0);
  process.kill((await status()).pid, "SIGKILL");
  const { code, stderr } = await world.run(["get", "apps"]);
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/^The local platform is appctl 99\.0\.0, newer than this one/),
  ]);
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

it("of two gateways the one that is killed loses only its own requests", async () => {
  const other = await World.create();
  await other.ok(["platform", "start", "--gateway-workers", "2"]);
  const { gatewayPids = [] } = await other.json<PlatformStatus>(["platform", "status"]);
  expect(gatewayPids).toHaveLength(2);
  const url = `http://localhost:${other.port}/api/v1/health`;
  let failures = 0;
  const ask = () =>
    get(url).then(
      ({ status: code }) => expect(code).toBe(200),
      () => failures++,
    );
  for (let round = 0; round < 20; round++) await ask();
  expect(failures).toBe(0);
  const asking = Promise.all(Array.from({ length: 200 }, ask));
  process.kill(gatewayPids[0] as number, "SIGKILL");
  await asking;
  expect(failures).toBeLessThan(150);
  failures = 0;
  for (let round = 0; round < 20; round++) await ask();
  expect(failures).toBe(0);
  const last = await other.json<PlatformStatus>(["platform", "status"]);
  expect(last.gatewayPids).toHaveLength(2);
  expect(last.gatewayPids).toContain(gatewayPids[1]);
  await other.close();
});

it("a platform that cannot start again is stopped all the same, and its log says why", async () => {
  const other = await World.create();
  await other.ok(["platform", "start"]);
  const { pid, supervisorPid = 0 } = await other.json<PlatformStatus>(["platform", "status"]);
  const key = readFileSync(join(other.state, "master.key"));
  writeFileSync(join(other.state, "master.key"), "no key");
  process.kill(pid, "SIGKILL");
  expect(await other.ok(["platform", "stop"])).toContain("is stopped");
  expect(startTimeOf(supervisorPid)).toBeUndefined();
  expect(await other.ok(["platform", "logs"])).toContain("is not 32 bytes in base64");
  writeFileSync(join(other.state, "master.key"), key);
  await other.ok(["get", "apps"]);
  await other.close();
});

it("runs below a process in the foreground, which a signal ends with everything", async () => {
  const other = await World.create();
  const running = other.start(["platform", "start", "--foreground"]);
  await running.until(/listens on/);
  const { pid, supervisorPid, gatewayPids = [] } = await other.json<PlatformStatus>(["platform", "status"]);
  expect(supervisorPid).toBe(running.process.pid);
  const second = await other.run(["platform", "start", "--foreground"]);
  expect([second.code, second.stderr]).toEqual([
    5,
    expect.stringContaining("another platform uses the state directory"),
  ]);
  running.process.kill("SIGTERM");
  expect((await running.result).code).toBe(0);
  for (const one of [pid, ...gatewayPids]) expect(startTimeOf(one)).toBeUndefined();
  await other.close();
});

it("after the supervisor was killed, the next command has everything running again", async () => {
  const { supervisorPid = 0, pid } = await status();
  const apps = await Promise.all(["web", "program"].map((name) => world.json<AppStatus>(["get", "apps", name])));
  const pids = apps.flatMap(({ replicas }) => replicas.map((replica) => replica.pid ?? 0));
  process.kill(supervisorPid, "SIGKILL");
  while (startTimeOf(pid) !== undefined) await delay(10);
  // Both kinds of apps end with it: by their pipe, and by the kernel.
  for (const old of pids) while (startTimeOf(old) !== undefined) await delay(10);
  const { code } = await world.run(["get", "apps"]);
  expect(code).toBe(0);
  for (const name of ["web", "program"]) {
    let app = await world.json<AppStatus>(["get", "apps", name]);
    while (app.status !== "Running") app = await world.json<AppStatus>(["get", "apps", name]);
    const { body } = await get(`${app.endpoint}/`);
    expect(pids).not.toContain(Number(body.split(" ")[1]));
  }
});

it("a stop ends all of it, and says so in its log", async () => {
  const { pid, supervisorPid = 0, gatewayPids = [] } = await status();
  await world.ok(["platform", "stop"]);
  for (const one of [pid, supervisorPid, ...gatewayPids]) expect(startTimeOf(one), String(one)).toBeUndefined();
  expect(readFileSync(join(world.state, "platform.log"), "utf8")).toMatch(/stopped\n$/);
});
