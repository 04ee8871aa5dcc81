import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { itLong } from "../support/amount.ts";
import { get, World } from "./harness.ts";

// A deploy that fails says why, where in the user's own file, and leaves what served before as it was.
let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

const source = (body: string, options = "") => `import { App } from "appctl";

${body}

export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("new") }, ${options} });
`;

async function fails(name: string, file: string) {
  const dir = world.folder(name, { "app.ts": file });
  const result = await world.run(["deploy", "apps", "app.ts", "web"], { cwd: dir });
  expect(result.code, result.stdout + result.stderr).toBe(1);
  expect(result.stdout).toContain('[Status] Failed: RevisionFailed: Revision "web-');
  expect(result.stdout).not.toContain("🚀");
  return result;
}

describe("a deploy that fails", () => {
  it("throws at import: the place in the TypeScript file, and the line itself", async () => {
    const { stderr } = await fails(
      "throws",
      source(`function connect(url: string | undefined): void {
  if (!process.env.APPCTL_DESCRIBE) throw new TypeError(\`no database at \${url}\`);
}
console.log("about to connect");
connect(undefined);`),
    );
    expect(stderr).toContain("no database at undefined");
    expect(stderr).toContain("app.ts:4:");
    expect(stderr).toContain("throw new TypeError");
    expect(stderr).toContain("about to connect");
    expect(stderr).not.toContain("app.mjs");
  });

  it("exits at start with a code", async () => {
    const { stderr } = await fails(
      "exits",
      source(`if (!process.env.APPCTL_DESCRIBE) { console.error("bye"); process.exit(3); }`),
    );
    expect(stderr).toMatch(/exit(?:ed)?.* code 3/);
    expect(stderr).toContain("bye");
  });

  it("exits with 0 before it listens", async () => {
    const { stderr } = await fails("zero", source("if (!process.env.APPCTL_DESCRIBE) process.exit(0);"));
    expect(stderr).toMatch(/code 0 before/);
  });

  it("is killed", async () => {
    const { stderr } = await fails(
      "killed",
      source(`if (!process.env.APPCTL_DESCRIBE) process.kill(process.pid, "SIGKILL");`),
    );
    expect(stderr).toContain("SIGKILL");
  });

  it("never listens", async () => {
    const dir = world.folder("mute", {
      "app.ts": `import { App } from "appctl";
export default new App({ name: "web", requiresAuth: false, startTimeout: 2, args: ["node", "-e", "setInterval(() => {}, 1000)"] });`,
    });
    const result = await world.run(["deploy", "apps", "app.ts", "web"], { cwd: dir });
    expect([result.code, result.stderr]).toEqual([1, expect.stringMatching(/listen/)]);
  });

  itLong("listens on another port", async () => {
    const dir = world.folder("port", {
      "app.ts": `import { App } from "appctl";
export default new App({ name: "web", requiresAuth: false, args: ["node", "-e", "require('http').createServer().listen(0, function () { console.log(this.address().port) })"] });`,
    });
    const result = await world.run(["deploy", "apps", "app.ts", "web"], { cwd: dir });
    expect(result.code).toBe(1);
    const [, port] = /^\s+(\d+)$/m.exec(result.stderr) ?? [];
    expect(port).toBeDefined();
    expect(result.stderr).toMatch(new RegExp(`port ${port}.*\\$?PORT`, "s"));
  });

  it("runs out of memory", async () => {
    const { stderr } = await fails(
      "memory",
      source(
        `if (!process.env.APPCTL_DESCRIBE) { const hog: Buffer[] = []; setInterval(() => hog.push(Buffer.alloc(16 << 20, 1)), 5); await new Promise(() => {}); }`,
        `limits: { mem: "128Mi" }`,
      ),
    );
    expect(stderr).toMatch(/memory/i);
    expect(stderr).toContain("128Mi");
  });

  it("leaves the revision before serving, and the next good deploy succeeds", async () => {
    const dir = world.folder("good", { "app.ts": source("").replace(`"new"`, `"good"`) });
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", "web", "-o", "url"], { cwd: dir })).trim();
    await fails("throws-again", source(`if (!process.env.APPCTL_DESCRIBE) throw new Error("again");`));
    expect((await get(`${endpoint}/`)).body).toBe("good");
    const app = await world.json<AppStatus>(["get", "apps", "web"]);
    expect(app).toMatchObject({ status: "Running", message: expect.stringContaining("failed") });
    const better = world.folder("better", { "app.ts": source("") });
    await world.ok(["deploy", "apps", "app.ts", "web"], { cwd: better });
    expect((await get(`${endpoint}/`)).body).toBe("new");
  });

  it("says once what happened, where, and what serves now; the same as data", async () => {
    const good = world.folder("once-good", { "app.ts": source("").replace(`name: "web"`, `name: "once"`) });
    await world.ok(["deploy", "apps", "app.ts"], { cwd: good });
    const dir = world.folder("once", {
      "common.ts": "export const call = (f: () => void) => f();\n",
      "src/app.ts": source(`import { call } from "../common.ts";
function connect(url?: string): void {
  throw new TypeError("no database at " + url, { cause: new Error("refused") });
}
if (!process.env.APPCTL_DESCRIBE) {
  console.log("about to connect from", import.meta.dirname);
  setTimeout(() => call(connect), 20);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}`).replace(`name: "web"`, `name: "once"`),
    });
    const run = (...more: string[]) =>
      world.run(["deploy", "apps", "src/app.ts", "--port", String(world.port), ...more], { cwd: dir });
    const text = await run();
    const words = [
      "Error: once failed: TypeError: no database at undefined",
      "  caused by Error: refused (src/app.ts:5:57)",
      " --> src/app.ts:5:9",
      "  |",
      '5 |   throw new TypeError("no database at " + url, { cause: new Error("refused") });',
      "  |         ^",
      "",
      "    at f (src/app.ts:5:9)",
      "    at f (common.ts:1:40)",
      "",
      "  Last lines of its output:",
      "    about to connect from .",
      "",
      "hint: the app threw this error while it started",
      "now: revision once-00001 still serves",
      "next:",
      `  appctl logs apps once --port ${world.port}`,
      "",
    ].join("\n");
    expect(text.stderr).toContain(words);
    expect(text.stdout).not.toContain("no database");
    expect(text.stdout).toMatch(/\[Status\] Failed: RevisionFailed: Revision "once-00002" failed\.\n$/);

    const json = await run("-o", "json");
    expect(json.stderr).toContain(words);
    const { error } = JSON.parse(json.stdout);
    expect(error).toMatchObject({
      code: "APP_THREW",
      exitCode: 1,
      ...{ app: "once", project: "default", domain: "development", revision: "once-00003", deployment: 3 },
      consoleUrl: expect.stringContaining("/apps/once"),
      serving: "once-00001",
      location: { file: "src/app.ts", line: 5, column: 9 },
      logs: [{ stream: "stdout", revision: "once-00003", line: "about to connect from ." }],
    });
    expect(error.stack.length).toBeGreaterThan(0);
    for (const frame of error.stack) expect(frame).toMatch(/^at (?:\S+ \()?(?:src\/app|common)\.ts:\d+:\d+\)?$/);
    expect(JSON.stringify(error)).not.toMatch(/file:|app\.mjs|serve\.mjs|node:/);
    expect(JSON.stringify(error)).not.toContain(world.home);
  });

  it("knows the app of a deploy that fails before the platform is asked", async () => {
    const dir = world.folder("early", { "app.ts": source("").replace("frameworkApp:", "frameworkApps:") });
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "app.ts", "-o", "json"], { cwd: dir });
    expect([code, JSON.parse(stdout).error]).toMatchObject([2, { code: "INVALID_APP", app: "web" }]);
    expect(stderr).toContain("frameworkApps");
  });

  it("tells the same in JSON: one object, with the place", async () => {
    const dir = world.folder("json", {
      "app.ts": source(`if (!process.env.APPCTL_DESCRIBE) throw new Error("in json");`),
    });
    const { code, stdout } = await world.run(["deploy", "apps", "app.ts", "web", "-o", "json"], { cwd: dir });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: "APP_THREW", message: expect.stringContaining("in json"), location: { file: "app.ts", line: 3 } },
    });
    const events = (await world.run(["deploy", "apps", "app.ts", "web", "-o", "ndjson"], { cwd: dir })).stdout
      .trim()
      .split("\n");
    const parsed = events.map((line) => JSON.parse(line) as { v: number; seq: number; time: string; type: string });
    expect(parsed.map((event) => event.seq)).toEqual(parsed.map((_, index) => index + 1));
    expect(parsed.at(-1)).toMatchObject({ v: 1, type: "failed", error: { code: "APP_THREW" } });
    expect(parsed.filter((event) => event.type === "failed" || event.type === "succeeded")).toHaveLength(1);
  });
});
