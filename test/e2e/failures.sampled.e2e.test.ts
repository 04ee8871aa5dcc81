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
