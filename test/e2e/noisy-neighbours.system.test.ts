/** Apps that misbehave in every way, beside one that serves under a steady load: it must not see one failed request. */
import { request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { processesWithEnv } from "../../src/engine/local/process/proc.ts";
import { get, World } from "./harness.ts";

const neighbour = `
import { App } from "appctl";
export default new App({ name: "neighbour", requiresAuth: false, frameworkApp: { fetch: () => new Response("steady") } });
`;

/** A program that serves as a good app does, and does `then` when it is asked for `/now`: not before its deploy has its verdict. */
const program = (then: string, options = "") => ({
  "app.ts": `import { App } from "appctl";
export default new App({ name: "noisy", args: ["node", "noisy.mjs"], include: ["noisy.mjs"], requiresAuth: false, ${options} });`,
  "noisy.mjs": `import { createServer } from "node:http";
const server = createServer((request, response) => {
  response.end("listening");
  if (request.url === "/now") response.on("close", misbehave);
});
server.listen(process.env.PORT, "127.0.0.1");
async function misbehave() {
  ${then}
}`,
});

/** Requests for the neighbour, one after the other on a few connections, until it is told to stop. */
class SteadyLoad {
  answers = 0;
  readonly failures: string[] = [];
  readonly #running: Promise<void>[];
  #stopped = false;

  constructor(world: World, endpoint: string) {
    const { host } = new URL(endpoint);
    this.#running = Array.from({ length: 4 }, async () => {
      while (!this.#stopped) await this.#one(world.port, host);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Resolves when the neighbour has answered this many more requests. */
  async more(count: number): Promise<void> {
    const goal = this.answers + count;
    while (this.answers < goal && this.failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  #one(port: number, host: string): Promise<void> {
    return new Promise((resolve) => {
      const fail = (why: string) => {
        this.failures.push(why);
        resolve();
      };
      request({ host: "127.0.0.1", port, path: "/", headers: { host }, agent: false }, (response) => {
        let body = "";
        response
          .setEncoding("utf8")
          .on("data", (chunk) => {
            body += chunk;
          })
          .on("error", (error) => fail(error.message))
          .on("end", () => {
            if (response.statusCode !== 200 || body !== "steady") return fail(`${response.statusCode} ${body}`);
            this.answers++;
            resolve();
          });
      })
        .on("error", (error) => fail(error.message))
        .end();
    });
  }
}

let world: World;
let load: SteadyLoad;

beforeAll(async () => {
  world = await World.create();
  const folder = world.folder("neighbour", { "app.ts": neighbour });
  await world.ok(["deploy", "apps", "app.ts"], { cwd: folder });
  const { endpoint } = await world.json<AppStatus>(["get", "apps", "neighbour"]);
  load = new SteadyLoad(world, endpoint);
});
afterAll(async () => {
  await load?.stop();
  await world?.close();
});

const noisy = () => world.json<AppStatus>(["get", "apps", "noisy"]);

async function deployed(files: Record<string, string>): Promise<void> {
  const folder = world.folder(`noisy-${Math.random().toString(36).slice(2)}`, files);
  await world.ok(["deploy", "apps", "app.ts", "noisy"], { cwd: folder });
  const { endpoint } = await noisy();
  expect((await get(`${endpoint}/now`)).status).toBe(200);
}

/** Waits until the noisy app shows what is expected of it, while the neighbour goes on answering. */
async function until(seen: (app: AppStatus) => boolean): Promise<AppStatus> {
  for (;;) {
    const app = await noisy();
    if (seen(app)) return app;
    await load.more(5);
    expect(load.failures).toEqual([]);
  }
}

/** The neighbour and the platform are as they were; the noisy app can be taken away whole. */
async function unharmed(): Promise<void> {
  await load.more(200);
  expect(load.failures).toEqual([]);
  const before = await world.json<AppStatus>(["get", "apps", "neighbour"]);
  expect(before).toMatchObject({ status: "Running", replicas: [{ restarts: 0, state: "Ready" }] });
  await world.ok(["delete", "apps", "noisy", "--yes"]);
  expect(processesWithEnv("APPCTL_ENDPOINT", `http://127.0.0.1:${world.port}`)).toEqual([before.replicas[0]?.pid]);
  await load.more(50);
  expect(load.failures).toEqual([]);
}

it("one that forks without end stops at the limit of processes", async ({ skip }) => {
  const limit = /^Process limit: +(.*)$/m.exec(await world.ok(["platform", "status"]))?.[1];
  if (limit === undefined || limit.startsWith("none")) {
    console.warn(`SKIPPED an app that forks without end: the limit of processes is ${limit}`);
    skip();
  }
  await deployed(
    program(
      `const { spawn } = await import("node:child_process");
  let refused = 0;
  const fork = () => {
    const child = spawn("/bin/sleep", ["1000"], { stdio: "ignore", detached: true });
    child.on("error", (error) => { if (++refused === 1) console.log("refused: " + error.code); });
    if (refused < 100) setImmediate(fork);
  };
  fork();`,
      `limits: { cpu: "500m" },`,
    ),
  );
  const logs = world.start(["logs", "apps", "noisy", "-f"]);
  await logs.until("refused: EAGAIN");
  logs.process.kill("SIGINT");
  await unharmed();
});

it("one that fills its disk is ended at its limit, with the cause in words, and its files go", async () => {
  await deployed(
    program(
      `const { open } = await import("node:fs/promises");
  const file = await open(process.env.TMPDIR + "/full", "w");
  for (let n = 0; ; n++) await file.write(Buffer.alloc(4 * 1024 * 1024, n));`,
      `limits: { ephemeralStorage: "256Mi" },`,
    ),
  );
  const app = await until(({ replicas }) => replicas.some(({ lastExit }) => lastExit !== null));
  expect(app.replicas[0]?.lastExit).toBe("its files took more than its limit of 256Mi");
  await unharmed();
});

it("one that writes to a file without a name is ended, too", async () => {
  await deployed(
    program(
      `const { open, unlink } = await import("node:fs/promises");
  const path = process.env.TMPDIR + "/gone";
  const file = await open(path, "w");
  await unlink(path);
  for (let n = 0; ; n++) await file.write(Buffer.alloc(4 * 1024 * 1024, n));`,
      `limits: { ephemeralStorage: "256Mi" },`,
    ),
  );
  const app = await until(({ replicas }) => replicas.some(({ lastExit }) => lastExit !== null));
  expect(app.replicas[0]?.lastExit).toBe("its files took more than its limit of 256Mi");
  await unharmed();
});

it("one that opens every file that it can", async () => {
  await deployed(
    program(
      `const { openSync } = await import("node:fs");
  const open = [];
  try { for (;;) open.push(openSync("/dev/null")); } catch (error) { console.log("opened " + open.length + ": " + error.code); }
  globalThis.open = open;`,
    ),
  );
  const logs = world.start(["logs", "apps", "noisy", "-f"]);
  await logs.until(/opened \d+: EMFILE/);
  logs.process.kill("SIGINT");
  await unharmed();
});

it("one that logs 100 MB as fast as it can", async () => {
  await deployed(
    program(
      `const line = "x".repeat(1023) + "\\n";
  for (let n = 0; n < 100; n++) await new Promise((resolve) => process.stdout.write(line.repeat(1024), resolve));
  console.log("written");`,
    ),
  );
  while (!(await world.ok(["logs", "apps", "noisy", "--tail", "1"])).includes("written")) await load.more(5);
  await unharmed();
});

it("one that uses up its memory is ended in words", async () => {
  await deployed(
    program(
      `globalThis.kept = [];
  for (;;) { globalThis.kept.push(Buffer.alloc(8 * 1024 * 1024, 1)); await new Promise((resolve) => setImmediate(resolve)); }`,
      `limits: { mem: "200Mi" },`,
    ),
  );
  const app = await until(({ replicas }) => replicas.some(({ lastExit }) => lastExit !== null));
  expect(app.replicas[0]?.lastExit).toBe("out of memory: it used more than its limit of 200Mi");
  await unharmed();
});

it("one that stops reading its connections, while requests go on coming", async () => {
  await deployed({
    ...program(""),
    "noisy.mjs": `import { createServer } from "node:net";
createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (data) => {
    if (!data.toString("latin1").startsWith("GET")) return socket.pause();
    socket.end("HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok");
  });
}).listen(process.env.PORT, "127.0.0.1");`,
  });
  const { endpoint } = await noisy();
  const { host } = new URL(endpoint);
  const stuck = Array.from({ length: 200 }, () => {
    const upload = request({
      host: "127.0.0.1",
      port: world.port,
      method: "POST",
      path: "/",
      headers: { host, "content-length": 64 * 1024 * 1024 },
      agent: false,
    });
    upload.on("error", () => undefined);
    upload.write(Buffer.alloc(1024 * 1024));
    return upload;
  });
  await load.more(500);
  expect(load.failures).toEqual([]);
  for (const upload of stuck) upload.destroy();
  await unharmed();
});

it("one that ignores SIGTERM is killed after its grace period", async () => {
  await deployed(program(`process.on("SIGTERM", () => console.log("no"));`));
  const { replicas } = await noisy();
  await world.ok(["stop", "apps", "noisy"]);
  expect((await noisy()).replicas).toEqual([]);
  expect(() => process.kill(replicas[0]?.pid ?? 0, 0)).toThrow("ESRCH");
  await unharmed();
});
