import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { describe, expect, it, onTestFinished } from "vitest";
import { bootId } from "../../src/core/boot-id.ts";
import { startTimeOf } from "../../src/core/start-time.ts";
import { type Clock, systemClock } from "../../src/engine/local/clock.ts";
import { groupIsAlive } from "../../src/engine/local/process/proc.ts";
import { waitUntilReady } from "../../src/engine/local/readiness.ts";
import type { RunningReplica } from "../../src/engine/local/runtime.ts";
import {
  call,
  collect,
  engineOptions,
  fetchApp,
  ref,
  revisionOf,
  startEngine,
  temporaryDirectory,
  until,
  writeContent,
} from "./helpers.ts";
import { createProcessEngine } from "./process-engine.ts";

const never = new AbortController().signal;

describe("an update", () => {
  it("loses no request under load, and the old replica ends only after its last answer", async () => {
    const { engine, revision, deploy } = await startEngine();
    const slowly = (text: string) =>
      fetchApp(`await new Promise((resolve) => setTimeout(resolve, 20)); return new Response("${text}");`);
    await deploy(await revision("web-00001", { app: slowly("one") }));
    const answers: string[] = [];
    let running = true;
    const clients = Array.from({ length: 8 }, async () => {
      while (running) {
        const { status, body } = await call(engine.lease(ref));
        answers.push(`${status} ${body}`);
      }
    });
    await until(() => answers.length > 20);
    await deploy(await revision("web-00002", { app: slowly("two") }));
    await until(() => engine.replicas(ref).length === 1);
    await until(() => answers.at(-1) === "200 two");
    running = false;
    await Promise.all(clients);
    expect(new Set(answers)).toEqual(new Set(["200 one", "200 two"]));
    // once the route has moved, no new request gets to the old one
    expect(answers.slice(answers.lastIndexOf("200 one") + 1).every((answer) => answer === "200 two")).toBe(true);
  });

  it("waits for the requests under way, then kills a replica that ignores SIGTERM", async () => {
    const { engine, revision, deploy } = await startEngine({ stopMs: 200 });
    await deploy(
      await revision("web-00001", {
        app: fetchApp(
          'return new Response("one");',
          'process.on("SIGTERM", () => {}); process.removeAllListeners("SIGTERM"); process.on("SIGTERM", () => console.log("ignored"));',
        ),
      }),
    );
    const held = engine.lease(ref);
    const old = engine.replicas(ref)[0]?.pid ?? 0;
    const next = await revision("web-00002", { app: fetchApp('return new Response("two");') });
    expect((await deploy(next)).at(-1)?.ready).toBe("True");
    expect(engine.replicas(ref)).toMatchObject([
      { revision: "web-00002", state: "Ready" },
      { revision: "web-00001", state: "Draining", pid: old },
    ]);
    // the request that has the lease is still answered by the old one
    expect(await call(held)).toMatchObject({ body: "one" });
    await until(() => engine.replicas(ref).length === 1);
    expect(startTimeOf(old)).toBeUndefined();
    const lines = await collect(engine.logs(ref, { follow: false, signal: never }));
    expect(lines.map(({ line }) => line)).toContain("ignored");
  });

  it("ends a replica whose requests do not end within the drain time", async () => {
    const { engine, revision, deploy } = await startEngine({ drainMs: 100 });
    await deploy(await revision("web-00001", { app: fetchApp('return new Response("one");') }));
    const kept = engine.lease(ref);
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    kept?.release();
  });

  it("lets a shell's program end gracefully, and ends all that it started", async () => {
    const { engine, revision, deploy, logs } = await startEngine();
    const server = `
process.on("SIGTERM", () => setTimeout(() => { console.log("orderly"); process.exit(0); }, 100));
require("node:http").createServer((req, res) => res.end("shell")).listen(process.env.PORT);`;
    await deploy(
      await revision(
        "web-00001",
        { files: { "server.cjs": server } },
        { spec: { kind: "command", command: "sleep 600 & node server.cjs; echo after" } },
      ),
    );
    expect(await call(engine.lease(ref))).toMatchObject({ body: "shell" });
    const leader = engine.replicas(ref)[0]?.pid ?? 0;
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    expect((await logs()).map(({ line }) => line)).toContain("orderly");
    expect(groupIsAlive(leader)).toBe(false);
  });
});

/** A clock whose pauses of a second and more end only when the test says so. */
function heldClock() {
  const pauses: { ms: number; end(): void }[] = [];
  let ahead = 0;
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        signal?.addEventListener("abort", () => resolve(), { once: true });
        // the start deadline and the drain are longer than any back-off that is looked at here
        if (ms >= 1000 && ms < 30_000) pauses.push({ ms, end: resolve });
        else setTimeout(resolve, Math.min(ms, 2 ** 31 - 1)).unref();
      }),
  };
  const advance = (ms: number) => {
    ahead += ms;
  };
  return { clock, pauses, advance };
}

describe("a crash after success", () => {
  it("is followed by a restart at once, then by ones with back-off, and shows in the replica", async () => {
    const { clock, pauses, advance } = heldClock();
    const { engine, revision, deploy } = await startEngine({ clock });
    await deploy(
      await revision("web-00001", {
        app: fetchApp('if (request.url.endsWith("/crash")) process.exit(3); return new Response("up");'),
      }),
    );
    const [before] = engine.replicas(ref);
    const crash = () => call(engine.lease(ref), "/crash").catch(() => "broken off");

    expect(await crash()).toBe("broken off");
    await until(() => engine.replicas(ref)[0]?.restarts === 1);
    expect(await call(await until(() => engine.lease(ref)))).toMatchObject({ body: "up" });
    expect(pauses).toEqual([]);
    expect(engine.replicas(ref)).toMatchObject([
      { name: before?.name, state: "Ready", restarts: 1, lastExit: "it exited with code 3" },
    ]);

    for (const ms of [1000, 2000, 4000]) {
      await crash();
      const pause = await until(() => pauses.shift());
      expect(pause.ms).toBe(ms);
      expect(engine.lease(ref)).toBeNull();
      expect(engine.replicas(ref)).toMatchObject([{ state: "BackOff", pid: null, lastExit: "it exited with code 3" }]);
      // the deploy stays what it was
      expect(await collect(engine.observe(ref, "web-00001", never))).toMatchObject([{ ready: "True" }]);
      pause.end();
      await until(() => engine.replicas(ref)[0]?.state === "Ready");
    }

    advance(60_000);
    await crash();
    await until(() => engine.replicas(ref)[0]?.restarts === 5);
    expect(pauses).toEqual([]);
    (await until(() => engine.lease(ref))).release();
  });

  it("kill -9 is a crash as well", async () => {
    const { engine, revision, deploy } = await startEngine();
    await deploy(await revision("web-00001", { app: fetchApp("return new Response(String(process.pid));") }));
    const pid = engine.replicas(ref)[0]?.pid ?? 0;
    process.kill(pid, "SIGKILL");
    await until(() => engine.replicas(ref)[0]?.restarts === 1 && engine.replicas(ref)[0]?.state === "Ready");
    expect(engine.replicas(ref)).toMatchObject([{ lastExit: "it was killed by SIGKILL" }]);
    const { body } = await call(engine.lease(ref));
    expect(body).not.toBe(String(pid));
  });

  it("is stopped while it waits", async () => {
    const { clock, pauses } = heldClock();
    const { engine, revision, deploy } = await startEngine({ clock });
    await deploy(
      await revision("web-00001", {
        app: fetchApp('if (request.url.endsWith("/crash")) process.exit(3); return new Response("up");'),
      }),
    );
    for (const restarts of [0, 1]) {
      await until(() => engine.replicas(ref)[0]?.restarts === restarts);
      await call(await until(() => engine.lease(ref)), "/crash").catch(() => {});
    }
    await until(() => pauses.length === 1);
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
  });
});

describe("a platform that starts again", () => {
  it("goes on trying a revision that once served, and reports why it does not come up", async () => {
    const base = temporaryDirectory();
    await writeContent(join(base, "content", "d1"), {
      app: fetchApp(
        'return new Response("up");',
        'import { existsSync } from "node:fs";\nif (!existsSync("database")) throw new Error("no database");',
      ),
      files: { database: "" },
    });
    const revision = revisionOf("web-00001", "d1");
    const wanted = { ref, revisions: [revision], traffic: revision.name };
    const first = await createProcessEngine(engineOptions(base));
    await first.apply(wanted);
    expect((await collect(first.observe(ref, revision.name, never))).at(-1)?.ready).toBe("True");
    await first.close();

    rmSync(join(base, "content", "d1", "database"));
    const second = await createProcessEngine(engineOptions(base));
    await second.apply(wanted);
    expect((await collect(second.observe(ref, revision.name, never))).at(-1)).toMatchObject({
      ready: "False",
      cause: { message: "Error: no database" },
    });
    writeFileSync(join(base, "content", "d1", "database"), "");
    expect(await call(await until(() => second.lease(ref)))).toMatchObject({ body: "up" });
    expect(await collect(second.observe(ref, revision.name, never))).toMatchObject([{ ready: "True" }]);
    await second.close();
  });

  it("ends what a killed platform left, with its directories, its groups and what it had started", async () => {
    const base = temporaryDirectory();
    mkdirSync(join(base, "state"));
    const server = `
const { spawn } = require("node:child_process");
const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
process.on("SIGTERM", () => {});
require("node:http").createServer((req, res) => res.end(String(child.pid))).listen(process.env.PORT);`;
    await writeContent(join(base, "content", "d1"), { files: { "server.cjs": server } });
    const secret = { key: "token", envVar: "TOKEN_FILE", mount: "file", id: "s1", version: 1 } as const;
    const revision = revisionOf("web-00001", "d1", {
      spec: { kind: "args", args: ["node", "server.cjs"], limits: { mem: "200Mi" } },
      secrets: [secret],
    });
    // A platform in a process of its own, which is killed while its replica runs.
    const script = join(base, "platform.mjs");
    await build({
      stdin: {
        contents: `
import { createProcessEngine } from "./test/engine/process-engine.ts";
import { call, engineOptions } from "./test/engine/platform-process.ts";
const options = engineOptions(${JSON.stringify(base)});
const engine = await createProcessEngine(options);
const revision = ${JSON.stringify(revision)};
const ref = ${JSON.stringify(ref)};
await engine.apply({ ref, revisions: [revision], traffic: revision.name });
for await (const { ready, cause } of engine.observe(ref, revision.name, new AbortController().signal)) {
  if (ready === "False") throw new Error(JSON.stringify(cause));
}
console.log(JSON.stringify({ pid: engine.replicas(ref)[0].pid, child: Number(await call(engine.lease(ref))) }));
`,
        resolveDir: join(import.meta.dirname, "..", ".."),
        sourcefile: "platform.ts",
        loader: "ts",
      },
      outfile: script,
      bundle: true,
      format: "esm",
      platform: "node",
      external: ["vitest", "esbuild"],
    });
    const platform = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface(platform.stdout), "line");
    const { pid, child } = JSON.parse(String(line)) as { pid: number; child: number };
    platform.kill("SIGKILL");
    await once(platform, "exit");
    // The kernel ends the leader with its parent, where setpriv can ask for that. What it had started goes on.
    if (existsSync("/usr/bin/setpriv")) await until(() => startTimeOf(pid) === undefined);
    expect(startTimeOf(child)).toBeTypeOf("number");

    const options = engineOptions(base);
    const engine = await createProcessEngine(options);
    expect(startTimeOf(pid)).toBeUndefined();
    // a session of its own did not help it: it carries the replica's mark
    expect(startTimeOf(child)).toBeUndefined();
    expect(options.messages).toEqual(["ended 1 replica(s) that an earlier platform left running"]);
    expect(readdirSync(join(base, "state", "replicas"))).toEqual([]);
    expect(readdirSync(join(base, "run"))).toEqual([]);
    await engine.close();
  });

  it("does not touch a stranger that has got a replica's process id", async () => {
    const base = temporaryDirectory();
    const stranger = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
    mkdirSync(join(base, "state", "replicas"), { recursive: true });
    const record = { id: "0badcafe", pid: stranger.pid, startTime: 1, boot: bootId(), dirs: [], cgroups: [] };
    writeFileSync(join(base, "state", "replicas", "0badcafe.json"), JSON.stringify(record));
    const engine = await createProcessEngine(engineOptions(base));
    expect(startTimeOf(stranger.pid ?? 0)).toBeTypeOf("number");
    expect(existsSync(join(base, "state", "replicas", "0badcafe.json"))).toBe(false);
    stranger.kill("SIGKILL");
    await engine.close();
  });
});

describe("the end", () => {
  it("close() ends every replica gracefully and leaves nothing behind", async () => {
    const { engine, revision, deploy, stateDir, runtimeDir } = await startEngine();
    await deploy(await revision("web-00001", { app: fetchApp('return new Response("one");') }));
    const pid = engine.replicas(ref)[0]?.pid ?? 0;
    await engine.close();
    expect(startTimeOf(pid)).toBeUndefined();
    expect(readdirSync(join(stateDir, "replicas"))).toEqual([]);
    expect(existsSync(runtimeDir)).toBe(false);
  });

  it("delete() removes the logs too, and the app can come again", async () => {
    const { engine, revision, deploy, stateDir, logs } = await startEngine();
    const first = await revision("web-00001", {
      app: fetchApp('return new Response("one");', 'console.log("a life");'),
    });
    const firstLine = async () => {
      for await (const { line } of engine.logs(ref, { follow: true, signal: never })) return line;
      return undefined;
    };
    await deploy(first);
    expect(await firstLine()).toBe("a life");
    await engine.delete(ref);
    expect(engine.replicas(ref)).toEqual([]);
    expect(existsSync(join(stateDir, "logs", "default", "development", "web"))).toBe(false);
    expect((await deploy(first)).at(-1)?.ready).toBe("True");
    expect(await firstLine()).toBe("a life");
    expect(await logs()).toHaveLength(1);
  });

  it("a replica's directory for files of its own goes with it", async () => {
    const { engine, revision, deploy } = await startEngine();
    const show =
      'import { writeFileSync } from "node:fs"; import { homedir, tmpdir } from "node:os"; writeFileSync(homedir() + "/a", "x"); writeFileSync(tmpdir() + "/b", "x");';
    await deploy(await revision("web-00001", { app: fetchApp("return Response.json([homedir(), tmpdir()]);", show) }));
    const dirs: string[] = JSON.parse((await call(engine.lease(ref))).body);
    expect(dirs.map((dir) => existsSync(dir))).toEqual([true, true]);
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    expect(dirs.map((dir) => existsSync(dir))).toEqual([false, false]);
  });
});

describe("the port of a replica", () => {
  it("is another one when a program has taken it meanwhile", async () => {
    const { engine, revision, deploy } = await startEngine();
    const server = `
const { existsSync, writeFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { PORT } = process.env;
const listen = () => createServer((req, res) => res.end(PORT)).listen(PORT, "127.0.0.1");
if (existsSync("tried")) listen();
else {
  writeFileSync("tried", PORT);
  require("node:net").createServer().listen(PORT, "127.0.0.1", listen);
}`;
    const made = await revision(
      "web-00001",
      { files: { "server.cjs": server } },
      { spec: { kind: "args", args: ["node", "server.cjs"] } },
    );
    expect((await deploy(made)).at(-1)).toMatchObject({ ready: "True" });
    expect(engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
  });

  it("is not taken for answering when a stranger answers there", async () => {
    const stranger = createServer((_, res) => void res.end("stranger")).listen(0, "127.0.0.1");
    onTestFinished(() => void stranger.close());
    await once(stranger, "listening");
    const { port } = stranger.address() as { port: number };
    let looks = 0;
    let ports: number[] = [];
    const replica: RunningReplica = {
      pid: null,
      address: { host: "127.0.0.1", port },
      token: undefined,
      listening: undefined,
      hasExited: false,
      exited: new Promise(() => {}),
      listeningPorts: () => {
        if (++looks === 3) ports = [port];
        return ports;
      },
      memory: () => undefined,
      stop: () => new Promise(() => {}),
      kill: () => new Promise(() => {}),
    };
    const outcome = await waitUntilReady(replica, {
      timeoutMs: 60_000,
      otherPortMs: 60_000,
      clock: systemClock,
      signal: never,
    });
    expect(outcome).toEqual({ type: "ready" });
    expect(looks).toBeGreaterThanOrEqual(3);
  });
});
