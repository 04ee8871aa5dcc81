import { execFile, execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
    // The last lines work when they are pasted into a shell, with the key of the demo in them.
    const [, turn = ""] = /^Your turn, in this folder:\n([\s\S]*)/m.exec(first.stdout) ?? [];
    const lines = turn.split("\n").filter((line) => !/ platform stop| open /.test(line));
    expect(lines.filter(Boolean).map((line) => line.trim().split(" ")[0])).toEqual(["export", "curl", "npx"]);
    const pasted = await command("bash", ["-euc", lines.join("\n")], clone, env);
    expect(pasted.code, pasted.stderr).toBe(0);
    expect(pasted.stdout).toContain('{"message":"Hello, World!"}');
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
      "api-key-auth  Running",
    );
    expect((await command("node", ["bin/appctl.js", "get", "apps", "none"], clone, env)).code).toBe(4);
    // A key of the caller's own is not shown.
    const own = await command("npm", ["start"], clone, { ...env, AUTH_API_KEY: "a key of the caller" });
    expect(own.code, own.stdout + own.stderr).toBe(0);
    expect(own.stdout + own.stderr).not.toContain("a key of the caller");
    // What fails says what to type in words that work here.
    const failed = await command("npm", ["exec", "--", "appctl", "logs", "typo"], clone, env);
    expect(failed.stderr).toContain("npx appctl get apps");

    // On another system the first command says what works, and builds the image.
    const other = world.folder("other", { uname: "#!/bin/sh\necho Darwin\n" });
    chmodSync(join(other, "uname"), 0o755);
    const darwin = await command("npm", ["start"], clone, { ...env, PATH: `${other}${delimiter}${env.PATH}` });
    expect(darwin.code, darwin.stdout + darwin.stderr).toBe(0);
    expect(darwin.stdout).toContain("The local platform runs on Linux only.");
    expect(darwin.stdout).toMatch(/api-key-auth-image:[\w-]{22}/);
    expect(darwin.stdout).not.toContain("Deployed Endpoint");
    await command("node", ["bin/appctl.js", "platform", "stop"], clone, env);
  });

  it("deploys the README's own project from an empty folder with the package of a clone, and calls it", async () => {
    const section =
      /## Your own project[\s\S]*?\n## /.exec(readFileSync(join(repository, "README.md"), "utf8"))?.[0] ?? "";
    const blocks = [...section.matchAll(/```(sh|ts)\n([\s\S]*?)```/g)].map(([, , text = ""]) => text);
    const [pack = "", install = "", app = "", deploy = ""] = blocks;
    expect(blocks).toHaveLength(4);
    expect(pack).toBe("npm pack\n");

    // A package of this clone, where the README expects it.
    const clone = world.folder("appctl");
    const packed = await command(
      "npm",
      ["pack", "--ignore-scripts", "--pack-destination", clone],
      repository,
      machine(),
    );
    expect(packed.code, packed.stderr).toBe(0);
    const dir = world.folder("my-app");
    // The npm cache has hono from this repository's own installation, or the registry has.
    const installed = await command("bash", ["-euc", install], dir, machine());
    expect(installed.code, installed.stderr).toBe(0);
    writeFileSync(join(dir, "app.ts"), app);
    const run = await command("bash", ["-euo", "pipefail", "-c", deploy], dir, world.env);
    expect(run.code, run.stdout + run.stderr).toBe(0);
    expect(run.stdout).toContain("[Status] Started: Service is ready");
    expect(run.stdout).toMatch(/\nHello!$/);
    const keyless = await command("npx", ["appctl", "get", "apps", "hello", "-o", "url"], dir, world.env);
    expect((await get(`${keyless.stdout.trim()}/`)).status).toBe(401);
  });
});
