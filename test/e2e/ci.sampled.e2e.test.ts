import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { itLong } from "../support/amount.ts";
import { cli, get, repository, World } from "./harness.ts";

// CI has one variable, an API key, and nothing else: no state, no cache, no terminal.
let server: World;
let runner: World;
let key: string;

beforeAll(async () => {
  server = await World.create();
  runner = await World.create();
  key = (await server.json<{ key: string }>(["create", "api-key", "admin", "--name", "CI", "--no-secret"])).key;
});
afterAll(async () => {
  await runner.close();
  await server.close();
});

/** The shell lines of the README's GitHub Actions step. */
function stepOfReadme(): string {
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  const yaml = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block as string);
  const step = yaml.find((block) => block.includes("appctl deploy"));
  const lines = (step ?? "").split("\n");
  const at = lines.findIndex(
    (line) => /^\s*run: \|/.test(line) && lines.some((other) => other.includes("appctl deploy")),
  );
  const indent = (lines[at]?.search(/\S/) ?? 0) + 1;
  const run: string[] = [];
  for (const line of lines.slice(at + 1)) {
    if (line.trim() !== "" && line.search(/\S/) < indent) break;
    run.push(line.trim());
  }
  return run.join("\n");
}

function shell(script: string, cwd: string, env: Record<string, string>) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      "bash",
      ["--noprofile", "--norc", "-eo", "pipefail", "-c", script],
      { cwd, env },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

describe("from CI", () => {
  it("the README's step deploys with one variable, and prints the endpoint", async () => {
    const dir = runner.folder("checkout", {
      "app.ts": readFileSync(join(repository, "templates", "api-key", "app.ts")),
    });
    mkdirSync(join(dir, "node_modules", ".bin"), { recursive: true });
    symlinkSync(cli, join(dir, "node_modules", ".bin", "appctl"));
    symlinkSync(join(repository, "node_modules", "hono"), join(dir, "node_modules", "hono"));
    await server.ok(["create", "secret", "MY_APPCTL_API_KEY", "--value-file", "-"], { stdin: key });
    const output = join(runner.home, "github-output");
    writeFileSync(output, "");
    const script = stepOfReadme();
    expect(script).toContain("appctl deploy apps app.ts api-key-auth");
    const { APPCTL_PORT: _, ...env } = runner.env;
    const result = await shell(script, dir, {
      ...env,
      CI: "true",
      GITHUB_ACTIONS: "true",
      GITHUB_OUTPUT: output,
      APPCTL_API_KEY: key,
      AUTH_API_KEY: "from-ci",
    });
    expect(result.code, result.stdout + result.stderr).toBe(0);
    const [, endpoint] = /endpoint=(\S+)/.exec(readFileSync(output, "utf8")) ?? [];
    expect((await get(`${endpoint}/`, { authorization: "Bearer from-ci" })).status).toBe(200);
    expect(result.stdout + result.stderr).not.toMatch(/from-ci|appctl_[\w-]{20}|\x1b/);
  });

  it("an unchanged deploy from another machine finds image and revision", async () => {
    const other = await World.create();
    const dir = other.folder("checkout", {
      "app.ts": readFileSync(join(repository, "templates", "api-key", "app.ts")),
    });
    mkdirSync(join(dir, "node_modules"));
    symlinkSync(join(repository, "node_modules", "hono"), join(dir, "node_modules", "hono"));
    const { code, stdout, stderr } = await other.run(["deploy", "apps", "app.ts", "api-key-auth"], {
      cwd: dir,
      env: { APPCTL_API_KEY: key, CI: "true" },
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/found\. Skip building\./);
    expect(stdout.match(/\[Status\].*/g)).toEqual(["[Status] Started: Service is ready"]);
    await other.close();
  });

  it("a key in a file does the same; a revoked or mistyped one is exit code 3 or 2", async () => {
    const file = join(runner.home, "key");
    writeFileSync(file, `${key}\n`, { mode: 0o600 });
    const list = (env: Record<string, string>) => runner.run(["get", "apps", "-o", "json"], { env });
    expect((await list({ APPCTL_API_KEY_FILE: file })).code).toBe(0);
    expect((await list({ APPCTL_API_KEY: `${key.slice(0, -4)}AAAA` })).code).toBe(2);
    await server.ok(["delete", "api-key", "CI"]);
    const { code, stdout } = await list({ APPCTL_API_KEY: key });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "UNAUTHENTICATED" } });
  });

  itLong("a platform that does not answer is exit code 6, and no local one is started for it", async () => {
    await server.ok(["platform", "stop"]);
    const { code, stderr } = await runner.run(["get", "apps"], { env: { APPCTL_API_KEY: key } });
    expect([code, stderr]).toEqual([6, expect.stringContaining("does not answer")]);
    await expect(get(`http://localhost:${runner.port}/api/v1/health`)).rejects.toThrow("ECONNREFUSED");
  });
});
