import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, repository, World } from "./harness.ts";

// What a stranger does first: a clone and one command; the published package; the README's own example.
let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

/** The machine's own Node and npm, not the ones that this repository installs. */
const machinePath = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((dir) => !dir.includes("node_modules"))
  .join(delimiter);

/** The user's environment with those. npm finds its global configuration by the Node that runs it. */
const machine = () => ({ ...world.env, PATH: machinePath });

function command(file: string, args: string[], cwd: string, env: Record<string, string>) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(file, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

describe("a stranger", () => {
  it("gets from a clone to a live endpoint with the README's first command, and again", async () => {
    const clone = join(world.home, "clone");
    const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: repository,
    });
    for (const file of files.toString().split("\0").filter(Boolean)) {
      mkdirSync(dirname(join(clone, file)), { recursive: true });
      copyFileSync(join(repository, file), join(clone, file));
    }
    const env = machine();
    const first = await command("npm", ["start"], clone, env);
    expect(first.code, first.stdout + first.stderr).toBe(0);
    expect(first.stdout).toContain('{"message":"Hello, World!"}   → 200');
    expect(first.stdout).toMatch(/Not authenticated.*→ 401/);
    expect(first.stdout).toMatch(/Could not validate credentials.*→ 403/);
    expect(first.stdout).toContain("[Status] Started: Service is ready");
    expect(first.stderr).not.toMatch(
      /npm (?:warn|error)(?!.*(?:nodedir|Unknown|EBADENGINE|required:|current:|package:|\}$))/m,
    );

    const again = await command("npm", ["start"], clone, env);
    expect(again.code, again.stdout + again.stderr).toBe(0);
    expect(again.stdout).toContain("found. Skip building.");
    expect(again.stdout).toContain("→ 200");
    // The clone's own entry point works under the machine's Node as well, however old.
    expect((await command("npx", ["appctl", "--version"], clone, env)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await command("node", ["bin/appctl.js", "get", "apps"], clone, env)).stdout).toContain(
      "fastapi-with-auth  Running",
    );
    expect((await command("node", ["bin/appctl.js", "get", "apps", "none"], clone, env)).code).toBe(4);
    await command("node", ["bin/appctl.js", "platform", "stop"], clone, env);
  });

  it("deploys the README's first app with the package that would be published", async () => {
    const packed = await command(
      "npm",
      ["pack", "--ignore-scripts", "--json", "--pack-destination", world.home],
      repository,
      machine(),
    );
    const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }];
    const names = files.map(({ path }) => path);
    expect(names).toEqual(
      expect.arrayContaining([
        "bin/appctl.js",
        "dist/main.js",
        "dist/sdk/index.js",
        "dist/types/sdk/index.d.ts",
        "templates/api-key/app.ts",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
      ]),
    );
    expect(names.filter((name) => /^(?:src|test|\.ci)\//.test(name))).toEqual([]);

    const [, app] =
      /```ts\n\/\/ app\.ts\n([\s\S]*?)```/.exec(readFileSync(join(repository, "README.md"), "utf8")) ?? [];
    const dir = world.folder("stranger", {
      "package.json": JSON.stringify({ name: "stranger", type: "module", private: true }),
      "app.ts": app as string,
    });
    const installed = await command(
      "npm",
      ["install", "--no-audit", "--no-fund", join(world.home, filename)],
      dir,
      machine(),
    );
    expect(installed.code, installed.stderr).toBe(0);
    symlinkSync(join(repository, "node_modules", "hono"), join(dir, "node_modules", "hono"));
    symlinkSync(join(repository, "node_modules", "@types"), join(dir, "node_modules", "@types"));
    const own = join(dir, "node_modules", ".bin", "appctl");
    const deployed = await command(own, ["deploy", "apps", "app.ts", "hello", "-o", "url"], dir, world.env);
    expect(deployed.code, deployed.stderr).toBe(0);
    const { status, body } = await get(`${deployed.stdout.trim()}/`);
    expect([status, body]).toEqual([200, "Hello!"]);

    // The declarations that are published are whole: they refer to nothing that is not there.
    const tsc = join(repository, "node_modules", "typescript", "bin", "tsc");
    const types = await command(
      process.execPath,
      [
        tsc,
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--types",
        "node",
        "--skipLibCheck",
        "false",
        "app.ts",
      ],
      dir,
      machine(),
    );
    const ours = types.stdout.split("\n").filter((line) => line.includes("appctl") || line.startsWith("app.ts"));
    expect(ours).toEqual([]);
  });
});
