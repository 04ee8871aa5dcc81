/** Where a command works: which folders, which project and domain, and with the noun left out. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

const APP = `import { App } from "appctl";
export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("x") } });`;

it.each([
  ["get apps", "XDG_STATE_HOME"],
  ["deploy app.ts", "XDG_CACHE_HOME"],
  ["build app.ts", "XDG_CACHE_HOME"],
  ["platform start", "XDG_STATE_HOME"],
])("appctl %s ends with what to set where %s cannot be made", async (line, variable) => {
  const cwd = world.folder("web", { "app.ts": APP });
  const { code, stderr } = await world.run(line.split(" "), { cwd, env: { [variable]: "/proc" } });
  expect(code).toBe(6);
  expect(stderr).toContain("/proc/appctl");
  expect(stderr).toContain(`set ${variable}, or HOME, to a folder that you can write`);
});

it.each(["file", "file/below"])("platform logs names the folder when the state folder is %s", async (path) => {
  const cwd = world.folder("state", { file: "" });
  const { code, stderr } = await world.run(["platform", "logs"], { env: { XDG_STATE_HOME: join(cwd, path) } });
  expect(code).toBe(6);
  expect(stderr).toContain(`${join(cwd, path)}/appctl/platform.log cannot be read: ENOTDIR`);
  expect(stderr).toContain("set XDG_STATE_HOME, or HOME");
});

it("a new project is named before it is made, and listing one makes none", async () => {
  const empty = await world.run(["get", "apps", "--project", "shpo"]);
  expect(empty.stderr).toContain('project "shpo" does not exist');
  const created = await world.run(["create", "secret", "A", "--project", "shop", "--value-file", "-"], { stdin: "x" });
  expect(created.stderr).toContain('project "shop" is new');
  const mistyped = await world.run(["get", "secrets", "--project", "shpo"]);
  expect(mistyped.stderr).toContain('project "shpo" does not exist (did you mean "shop"?)');
  const asJson = await world.run(["get", "apps", "--project", "shpo", "-o", "json"]);
  expect([JSON.parse(asJson.stdout), asJson.stderr]).toEqual([
    { apps: [] },
    'project "shpo" does not exist (did you mean "shop"?)\n',
  ]);
  const one = await world.run(["stop", "web", "--project", "shpo"]);
  expect(one.code).toBe(4);
  expect(one.stderr).toContain('hint: project "shpo" does not exist (did you mean "shop"?)');
  const known = await world.run(["create", "secret", "B", "--project", "shop", "--value-file", "-"], { stdin: "x" });
  expect(known.stderr).not.toContain("is new");
  const domain = await world.run(["get", "apps", "--project", "shop", "--domain", "prod"]);
  expect(domain.stderr).toContain('domain "prod" does not exist');
});

it("deploy, logs, stop and start know their only noun", async () => {
  const cwd = world.folder("web", { "app.ts": APP });
  const deployed = await world.run(["deploy", "app.ts", "--project", "shop", "--domain", "prod"], { cwd });
  expect(deployed.stderr).toContain('domain "prod" is new');
  expect(deployed.code).toBe(0);
  const place = ["--project", "shop", "--domain", "prod"];
  await world.ok(["logs", "web", "--tail", "1", ...place]);
  const stopped = await world.ok(["stop", "web", ...place, "--port", String(world.port)]);
  expect(stopped).toContain(`appctl start apps web --project shop --domain prod --port ${world.port}\n`);
  expect(await world.ok(["start", "web", "-o", "url", ...place])).toMatch(/^http/);
});
