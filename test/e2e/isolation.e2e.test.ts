/** What an app can see of the platform and of its neighbours: tried from inside, with the real platform. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, PlatformStatus } from "../../src/contract/types.ts";
import { get, World } from "./harness.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot)
  console.warn("SKIPPED parts of test/e2e/isolation.test.ts: only root can run a platform with users for apps");

/** Does what it is told with whatever an app has: Node's own calls, and a shell where it may start one. */
const spy = (name: string, more: string) => `
import { App } from "appctl";
import { connect } from "node:net";
import { readFileSync, readdirSync } from "node:fs";
${more}
const answer = (work: () => string) => { try { return new Response(work()); } catch (error: any) { return new Response("refused " + (error.code ?? error.message)); } };
async function fetch(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const path = url.searchParams.get("path") ?? "";
  switch (url.pathname) {
    case "/read": return answer(() => "read " + readFileSync(path).toString("base64"));
    case "/list": return answer(() => "listed " + readdirSync(path).join());
    case "/sh": return answer(() => "ran " + run(path));
    case "/ask": return new Promise((resolve) => {
      const socket = connect(path);
      socket.on("error", (error: any) => resolve(new Response("refused " + error.code)));
      socket.on("connect", () => { socket.write("GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n"); });
      socket.on("data", (data) => resolve(new Response("answered " + String(data).split("\\r\\n")[0])));
    });
    default: return new Response("up");
  }
}
export default new App({ name: "${name}", frameworkApp: { fetch }, requiresAuth: false });
`;
const withShell = `import { execFileSync } from "node:child_process";
const run = (script: string) => execFileSync("/bin/sh", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });`;
const withoutShell = `const run = (script: string) => process.getBuiltinModule("node:child_process").execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" });`;

const neighbour = `
import { App, Secret } from "appctl";
import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
writeFileSync(homedir() + "/diary", "private");
export default new App({
  name: "neighbour", requiresAuth: false,
  frameworkApp: { fetch: () => new Response(process.env.KEY_FILE) },
  secrets: [new Secret({ key: "KEY" }), new Secret({ key: "KEY", mount: "file" })],
});
`;

/** A program that is no frameworkApp: Node's permission model does not hold it. */
const program = `
import { createServer } from "node:http";
import { execFileSync } from "node:child_process";
createServer((request, response) => {
  const script = new URL(request.url, "http://x").searchParams.get("path") ?? "true";
  try { response.end("ran " + execFileSync("/bin/sh", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })); }
  catch (error) { response.end("refused " + error.status); }
}).listen(process.env.PORT);
`;
const programApp = `
import { App } from "appctl";
export default new App({ name: "program", args: ["node", "server.mjs"], include: ["server.mjs"], requiresAuth: false });
`;

interface Neighbourhood {
  world: World;
  /** Files of the platform and of the neighbour, by what they are. */
  targets: Record<string, string>;
  socket: string;
  ask(app: string, way: string, path: string): Promise<string>;
  close(): Promise<void>;
}

async function neighbourhood(world: World): Promise<Neighbourhood> {
  const folder = world.folder("apps", {
    "neighbour.ts": neighbour,
    "spy.ts": spy("spy", withoutShell),
    "shell.ts": spy("shell", withShell),
    "program.ts": programApp,
    "server.mjs": program,
  });
  world.own();
  await world.ok(["create", "secret", "KEY", "--value-file", "-"], { stdin: "hidden value" });
  for (const app of ["neighbour", "spy", "shell", "program"])
    await world.ok(["deploy", "apps", `${app}.ts`], { cwd: folder });
  const { apps } = await world.json<{ apps: AppStatus[] }>(["get", "apps"]);
  const of = (name: string) => apps.find((app) => app.name === name) as AppStatus;
  const { pid: platform } = await world.json<PlatformStatus>(["platform", "status"]);
  const pid = of("neighbour").replicas[0]?.pid ?? 0;
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const variable = (name: string) =>
    environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
  const home = variable("HOME");
  const blobs = join(world.state, "images", "blobs", "sha256");
  const targets = {
    "the platform's master key": join(world.state, "master.key"),
    "the platform's admin key": join(world.state, "admin.key"),
    "the platform's database": join(world.state, "platform.db"),
    "the platform's log": join(world.state, "platform.log"),
    "the platform's images": join(blobs, readdirSync(blobs)[0] as string),
    "the platform's environment": `/proc/${platform}/environ`,
    "the neighbour's environment": `/proc/${pid}/environ`,
    "the neighbour's own file": join(home, "diary"),
    "the neighbour's secret file": variable("KEY_FILE"),
    "the neighbour's code": join(readlinkSync(`/proc/${pid}/cwd`), "app.mjs"),
    "the neighbour's output": join(world.state, "logs", "default", "development", "neighbour", "current.ndjson"),
  };
  return {
    world,
    targets,
    socket: join(home, "..", "s"),
    ask: async (app, way, path) => (await get(`${of(app).endpoint}/${way}?path=${encodeURIComponent(path)}`)).body,
    close: () => world.close(),
  };
}

describe.skipIf(!isRoot)("with a user for each app", () => {
  let n: Neighbourhood;
  beforeAll(async () => {
    n = await neighbourhood(await World.create());
  });
  afterAll(() => n?.close());

  it("says so", async () => {
    expect((await n.world.json<PlatformStatus>(["platform", "status"])).isolation).toMatch(
      /^a separate user for each app/,
    );
  });

  it("no app reads a file of the platform or of a neighbour, by Node or by a program that it starts", async () => {
    // It does what it is told where it may: else all the refusals below would mean nothing.
    expect(await n.ask("shell", "sh", "cat /etc/hostname; echo done")).toContain("done");
    expect(await n.ask("program", "", "id -u")).toMatch(/^ran [1-9]\d+\n$/);
    expect(await n.ask("spy", "read", "/etc/os-release")).toMatch(/^read /);
    for (const [what, file] of Object.entries(n.targets)) {
      if (what !== "the neighbour's output") expect(existsSync(file), what).toBe(true);
      expect(await n.ask("spy", "read", file), what).toBe("refused ERR_ACCESS_DENIED");
      expect(await n.ask("shell", "sh", `cat '${file}'`), what).toMatch(/^refused /);
      expect(await n.ask("program", "", `cat '${file}'`), what).toBe("refused 1");
    }
  });

  it("no app lists or writes what is not its own", async () => {
    for (const dir of [n.world.state, join(n.socket, ".."), join(n.socket, "..", ".."), "/var/lib/appctl"]) {
      expect(await n.ask("shell", "sh", `ls '${dir}'`), dir).toMatch(/^refused /);
      expect(await n.ask("program", "", `ls '${dir}'`), dir).toMatch(/^refused /);
    }
    expect(await n.ask("program", "", "touch server.mjs")).toMatch(/^refused /);
    expect(await n.ask("program", "", 'touch "$HOME/x" "$TMPDIR/x" && echo mine')).toBe("ran mine\n");
  });

  it("no app reaches a neighbour's socket, or ends its process", async () => {
    for (const app of ["spy", "shell"]) expect(await n.ask(app, "ask", n.socket)).toBe("refused EACCES");
    const { replicas } = await n.world.json<AppStatus>(["get", "apps", "neighbour"]);
    expect(await n.ask("program", "", `kill -0 ${replicas[0]?.pid}`)).toBe("refused 1");
  });

  it("no app puts something else in the place of its socket, to which the platform connects as root", async () => {
    const swap =
      'ln -sfn /run/other.sock "$HOME/../s"; rm -f "$HOME/../s"; mv "$HOME/../s" "$TMPDIR/s"; ls -ld "$HOME/../s"';
    expect(await n.ask("shell", "sh", swap)).toMatch(/^ran s/);
    expect(await n.ask("shell", "", "")).toBe("up");
  });

  it("nobody opens a debugger by a signal", async () => {
    const { pid } = await n.world.json<PlatformStatus>(["platform", "status"]);
    process.kill(pid, "SIGUSR1");
    const { replicas } = await n.world.json<AppStatus>(["get", "apps", "neighbour"]);
    process.kill(replicas[0]?.pid ?? 0, "SIGUSR1");
    expect(await n.ask("spy", "", "")).toBe("up");
    expect(await n.world.ok(["platform", "logs"])).not.toContain("Debugger listening");
    expect(await n.world.ok(["logs", "apps", "neighbour"])).not.toContain("Debugger listening");
  });

  it("NODE_OPTIONS do not widen what an app may do", async () => {
    const folder = n.world.folder("wide", {
      "app.ts": spy("wide", withoutShell).replace(
        "requiresAuth",
        'env: { NODE_OPTIONS: "--allow-fs-read=*" }, requiresAuth',
      ),
    });
    const { code, stderr } = await n.world.run(["deploy", "apps", "app.ts"], { cwd: folder });
    expect([code, stderr]).toEqual([1, expect.stringContaining("NODE_OPTIONS changes what it may do")]);
  });

  it("an app without child processes among its imports cannot start one", async () => {
    expect(await n.ask("spy", "sh", "id")).toBe("refused ERR_ACCESS_DENIED");
  });

  it("the platform's API answers an app without a key like anybody else", async () => {
    const url = `http://127.0.0.1:${n.world.port}/api/v1/platform`;
    const script = `fetch('${url}').then((r) => console.log(r.status))`;
    expect(await n.ask("program", "", `node -e "${script}"`)).toBe("ran 401\n");
  });
});

describe.skipIf(!isRoot)("without root: Node's permission model, and tokens", () => {
  let n: Neighbourhood;
  beforeAll(async () => {
    n = await neighbourhood(await World.create({ uid: 65_533 }));
  });
  afterAll(() => n?.close());

  it("says so", async () => {
    const { isolation } = await n.world.json<PlatformStatus>(["platform", "status"]);
    expect(isolation).toBe(
      "the platform's user for every app (it does not run as root), Node's permission model for frameworkApps",
    );
  });

  it("a frameworkApp reads no file of the platform or of a neighbour, and starts no program", async () => {
    for (const [what, file] of Object.entries(n.targets)) {
      expect(await n.ask("spy", "read", file), what).toBe("refused ERR_ACCESS_DENIED");
    }
    expect(await n.ask("spy", "list", n.world.state)).toBe("refused ERR_ACCESS_DENIED");
    expect(await n.ask("spy", "sh", "id")).toBe("refused ERR_ACCESS_DENIED");
  });

  it("a neighbour's socket answers 403 to who has not the gateway's token", async () => {
    expect(await n.ask("spy", "ask", n.socket)).toBe("answered HTTP/1.1 403 Forbidden");
  });

  it("the README says what is not kept apart: an app that may start programs reads what its user reads", async () => {
    expect(await n.ask("program", "", `cat '${n.targets["the neighbour's own file"]}'`)).toBe("ran private");
    const deployed = await n.world.run(["deploy", "apps", "shell.ts"], { cwd: join(n.world.home, "apps") });
    expect(deployed.stderr).toContain("shell may start programs, and apps run as the platform's own user here");
  });
});
