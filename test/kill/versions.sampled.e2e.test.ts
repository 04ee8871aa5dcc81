import { once } from "node:events";
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlatformStatus } from "../../src/contract/types.ts";
import { version } from "../../src/core/package-files.ts";
import { get, repository, World } from "../e2e/harness.ts";
import { itLong } from "../support/amount.ts";
import { isRunning } from "./world.ts";

// Who else may sit on the port: another program, somebody else's platform, one of another version.
let world: World;
let endpoint = "";
beforeAll(async () => {
  world = await World.create();
  world.folder("web", {
    "app.ts": `import { App } from "appctl";
      export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("web") } });`,
  });
  endpoint = (await world.ok(["deploy", "apps", "web/app.ts", "web", "-o", "url"])).trim();
});
afterAll(() => world.close());

/** The built appctl as another version: the same but for what it says of itself. Returns its executable. */
function installed(other: string): string {
  const dir = join(world.home, `appctl-${other}`);
  const executable = join(dir, "bin", "appctl.js");
  if (existsSync(executable)) return executable;
  world.folder(`appctl-${other}`);
  for (const part of ["bin", "dist", "templates"]) cpSync(join(repository, part), join(dir, part), { recursive: true });
  symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
  const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  writeFileSync(join(dir, "package.json"), JSON.stringify({ ...manifest, version: other }));
  return executable;
}

const running = () => world.json<PlatformStatus>(["platform", "status"]);

describe("the port is taken", () => {
  it("by another program: said with its number and what to type", async () => {
    const other = await World.create();
    const stranger = createServer((_, res) => res.end("{}")).listen(other.port, "127.0.0.1");
    await once(stranger, "listening");
    const { code, stderr } = await other.run(["get", "apps"]);
    stranger.close();
    expect(code).toBe(6);
    expect(stderr).toBe(
      `Error: port ${other.port} is taken by another program
hint: choose another port for the platform with --port or APPCTL_PORT
next:
  APPCTL_PORT=${other.port + 1} appctl platform start
`,
    );
    await other.close();
  });

  it("by another user's platform: it is not taken for one's own, and not touched", async () => {
    const other = await World.create();
    const { code, stderr } = await other.run(["get", "apps"], { env: { APPCTL_PORT: String(world.port) } });
    expect(code).toBe(6);
    expect(stderr).toContain(
      `Error: port ${world.port} is taken by a platform of appctl ${version()} of another user or with other state\n`,
    );
    expect(stderr).toContain("hint: use that platform with one of its keys (APPCTL_API_KEY), or choose another port");
    expect((await get(`${endpoint}/`)).body).toBe("web");
    await other.close();
  });
});

describe("the platform that runs is", () => {
  it("older: it is replaced, says so, and its apps go on", async () => {
    await world.ok(["platform", "stop"]);
    await world.ok(["get", "apps"], { program: installed("0.0.9") });
    const old = await running();
    expect(old.version).toBe("0.0.9");
    const { code, stderr } = await world.run(["get", "apps"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toBe(`Updated the local platform from appctl 0.0.9 to ${version()}. Its apps go on.\n`);
    expect(isRunning(old.pid)).toBe(false);
    expect((await running()).version).toBe(version());
    await world.ok(["attach", "web"]);
    await expect.poll(async () => (await get(`${endpoint}/`)).body, { timeout: 60_000 }).toBe("web");
    expect((await world.run(["get", "apps"])).stderr).toBe("");
  });

  itLong("older, and a server for other machines: it is left alone, and the command to type is told", async () => {
    await world.ok(["platform", "stop"]);
    await world.ok(["platform", "start", "--host", "0.0.0.0"], { program: installed("0.0.9") });
    const old = await running();
    const { code, stderr } = await world.run(["get", "apps"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(
      `The local platform is appctl 0.0.9, this is ${version()}. To update it: appctl platform upgrade`,
    );
    expect((await running()).pid).toBe(old.pid);
    await world.ok(["platform", "stop"]);
  });

  it("newer: said, and the command does its work", async () => {
    await world.ok(["get", "apps"], { program: installed("99.1.0") });
    const { code, stdout, stderr } = await world.run(["get", "apps"]);
    expect(code).toBe(0);
    expect(stdout).toContain("web");
    expect(stderr).toBe(
      `The local platform is appctl 99.1.0, newer than this one (${version()}). To update: npm install appctl@99.1.0\n`,
    );
    expect((await running()).version).toBe("99.1.0");
  });
});
