import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, repository, World } from "./harness.ts";

// docs/get-started.md, typed as it is written: its app, its commands, and the reset at its end.
let world: World;
let dir: string;
const page = readFileSync(join(repository, "docs", "get-started.md"), "utf8");
const [, app = ""] = /```ts\n\/\/ app\.ts\n([\s\S]*?)```/.exec(page) ?? [];

beforeAll(async () => {
  world = await World.create();
  dir = world.folder("hello", { "app.ts": app });
});
afterAll(() => world.close());

/** Runs a shell block of the page as it is; `npx appctl` is the command that `PATH` has. */
function block(heading: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const [, text = ""] = new RegExp(`## ${heading}\\n[\\s\\S]*?\`\`\`sh\\n([\\s\\S]*?)\`\`\``).exec(page) ?? [];
  expect(text).not.toBe("");
  const script = `npx() { "$@"; }\n${text}`;
  return new Promise((resolve) => {
    execFile("bash", ["-euo", "pipefail", "-c", script], { cwd: dir, env: world.env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

describe("the page to get started with", () => {
  it("deploys its app", async () => {
    const { code, stdout, stderr } = await block("Deploy");
    expect([code, stderr]).toEqual([0, expect.stringContaining("Started the local platform")]);
    expect(stdout).toContain("[Status] Started: Service is ready");
  });

  it("calls it, and looks at it", async () => {
    const called = await block("Call it");
    expect([called.code, called.stdout]).toEqual([0, "Hello!\n"]);
    const looked = await block("Look at it");
    expect(looked.code, looked.stderr).toBe(0);
    expect(looked.stdout).toMatch(/hello +Running/);
    expect(looked.stdout).toContain("/console/");
  });

  it("goes back to the revision before", async () => {
    const second = app.replace("Hello!", "Good day!");
    await world.ok(["deploy", "app.ts"], { cwd: world.folder("hello", { "app.ts": second }) });
    const endpoint = (await world.ok(["get", "apps", "hello", "-o", "url"])).trim();
    expect((await get(`${endpoint}/`)).body).toBe("Good day!\n");
    const { code, stderr } = await block("Change it, and go back");
    expect(code, stderr).toBe(0);
    expect((await get(`${endpoint}/`)).body).toBe("Hello!\n");
  });
});

describe("platform reset", () => {
  it("asks on a terminal alone, and removes nothing before", async () => {
    const refused = await world.run(["platform", "reset"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("the platform was not reset: pass --yes (no terminal to ask on)");
    expect(refused.stderr).toContain("appctl platform reset --yes");
    expect(await world.json(["get", "apps"])).toMatchObject({ apps: [{ name: "hello" }] });
  });

  it("stops the platform, and removes state, cache and sockets, but not the configuration", async () => {
    world.folder("config/appctl", { "config.yaml": "project: default\n" });
    const { removed } = await world.json<{ removed: string[] }>(["platform", "reset", "--yes"]);
    expect(removed).toEqual(expect.arrayContaining([world.state, world.cache]));
    for (const folder of removed) expect(existsSync(folder), folder).toBe(false);
    expect(readdirSync(join(world.home, "config", "appctl"))).toEqual(["config.yaml"]);
    expect((await world.run(["platform", "status"])).code).toBe(6);
    expect(await world.json(["platform", "reset", "--yes"])).toEqual({ removed: [] });
  });

  it("ends what a killed platform left, and is followed by an empty one", async () => {
    const marker = `left-${world.port}`;
    const program = `require("node:http").createServer((_, s) => s.end("${marker}")).listen(process.env.PORT)`;
    const text = `import { App } from "appctl";\nexport const a = new App({ name: "left", args: ["node", "-e", ${JSON.stringify(program)}], requiresAuth: false });\n`;
    await world.ok(["deploy", "app.ts"], { cwd: world.folder("left", { "app.ts": text }) });
    const running = () =>
      readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandLineOf(name).includes(marker));
    expect(running()).toHaveLength(1);
    const { pid } = JSON.parse(readFileSync(join(world.state, "platform.json"), "utf8")) as { pid: number };
    process.kill(pid, "SIGKILL");
    await world.ok(["platform", "reset", "--yes"]);
    expect(existsSync(world.state)).toBe(false);
    expect(running()).toEqual([]);
    expect(await world.json(["get", "apps"])).toEqual({ apps: [] });
  });
});

/** The command line of a process; empty for one that has ended. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(join("/proc", pid, "cmdline"), "utf8");
  } catch {
    return "";
  }
}
