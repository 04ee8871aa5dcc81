import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, repository, World } from "./harness.ts";

// The package that would be published: what is in it, its types, and its command on each Node that it is for.
interface Packed {
  filename: string;
  size: number;
  files: { path: string; mode: number }[];
}

let world: World;
let packed: Packed;
/** A folder with the package installed and nothing else. */
let installed: string;
/** The machine's own npm, without the programs that this repository installs. */
const machinePath = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((dir) => !dir.includes("node_modules"))
  .join(delimiter);

function command(file: string, args: string[], cwd: string, env: Record<string, string>) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(file, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

beforeAll(async () => {
  world = await World.create();
  const env = { ...world.env, PATH: machinePath };
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", world.home];
  const { stdout, stderr } = await command("npm", pack, repository, env);
  [packed] = JSON.parse(stdout || `${stderr}`) as [Packed];
  installed = world.folder("installed", { "package.json": '{ "private": true, "type": "module" }' });
  const tarball = join(world.home, packed.filename);
  const install = await command("npm", ["install", "--no-audit", "--no-fund", tarball], installed, env);
  if (install.code !== 0) throw new Error(install.stderr);
});
afterAll(() => world.close());

describe("the package", () => {
  it("has what it needs, and nothing else", () => {
    const names = packed.files.map(({ path }) => path);
    expect(names).toEqual(
      expect.arrayContaining([
        ...["bin/appctl.js", "dist/main.js", "dist/serve.js", "dist/sdk/index.js", "dist/types/sdk/index.d.ts"],
        ...["templates/api-key/app.ts", "templates/guide/app.ts", "docs/get-started.md", "docs/reference/cli.md"],
        ...["README.md", "LICENSE", "CHANGELOG.md", "THIRD-PARTY-NOTICES", "package.json"],
      ]),
    );
    const expected =
      /^(?:bin\/appctl\.js|dist\/.*\.(?:js|d\.ts)|dist\/sdk-modules\/appctl\/package\.json|docs\/.*\.md|templates\/.*\.ts|[A-Z-]+(?:\.md)?|package\.json)$/;
    expect(names.filter((name) => !expected.test(name))).toEqual([]);
    expect(packed.files.find(({ path }) => path === "bin/appctl.js")?.mode).toBe(0o755);
  });

  it("stays small", () => {
    // 717 kB in 32 files before it had docs (28 files), the notices of what it bundles, and programs for gateway and supervisor.
    expect(packed.size).toBeLessThan(820_000);
    expect(packed.files.length).toBeLessThanOrEqual(70);
  });

  it("names no folder of the machine that it was made on", () => {
    const root = join(installed, "node_modules", "appctl");
    for (const { path } of packed.files) {
      expect(readFileSync(join(root, path), "utf8").includes(`${repository}/`), path).toBe(false);
    }
  });

  it("has types that compile with skipLibCheck: false", async () => {
    const app = `import { App, ImageSpec, type Link, Remote, Resources, Secret } from "appctl";
      const image = new ImageSpec({ name: "web", packages: ["hono@4.13.19"] }).withEnv({ A: "1" });
      const link: Link = { title: "Docs", path: "/docs" };
      export const web = new App({
        name: "web",
        containerImage: image,
        secrets: [new Secret({ key: "TOKEN", mount: "file" })],
        limits: new Resources({ cpu: "1", mem: "1Gi" }),
        links: [link],
        frameworkApp: { fetch: async () => new Response(String((await new Remote().apps.list()).length)) },
      });
      // @ts-expect-error an app has either of them
      export const both = new App({ name: "both", args: ["node"], command: "node" });
      // @ts-expect-error one of the three is missing
      export const none = new App({ name: "none" });
    `;
    writeFileSync(join(installed, "types.ts"), app);
    mkdirSync(join(installed, "node_modules", "@types"), { recursive: true });
    // Node's own types need a package of their own.
    for (const name of ["@types/node", "undici-types"]) {
      symlinkSync(join(repository, "node_modules", name), join(installed, "node_modules", name));
    }
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--types", "node"];
    const tsc = join(repository, "node_modules", "typescript", "bin", "tsc");
    const result = await command(
      process.execPath,
      [tsc, ...options, "--skipLibCheck", "false", "types.ts"],
      installed,
      world.env,
    );
    const lines = result.stdout.split("\n").filter((line) => line.includes("appctl") || line.startsWith("types.ts"));
    expect(lines).toEqual([]);
  });
});

describe.each([22, 24, 26])("on Node %i", (major) => {
  let env: Record<string, string>;
  beforeAll(async () => {
    const home = world.folder(`node-${major}`, { "package.json": '{ "private": true }' });
    const name = `node-linux-${arch()}`;
    const got = await command("npm", ["install", "--no-audit", "--no-fund", `${name}@${major}`], home, {
      ...world.env,
      PATH: machinePath,
    });
    if (got.code !== 0) throw new Error(`no Node ${major}: ${got.stderr}`);
    const bin = join(home, "node_modules", name, "bin");
    // Without the command that the harness has on its PATH: npx finds the installed one.
    env = { ...world.env, PATH: [bin, machinePath].join(delimiter) };
  });

  it("the installed command shows its version and its help", async () => {
    const node = await command("node", ["--version"], installed, env);
    expect(node.stdout).toMatch(new RegExp(`^v${major}\\.`));
    const version = await command("npx", ["appctl", "--version"], installed, env);
    expect([version.code, version.stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
    const help = await command("npx", ["appctl", "--help"], installed, env);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining("deploy")]);
  });

  it("deploys an app from an empty folder, and the app answers", async () => {
    const dir = world.folder(`installed/empty-${major}`, {
      "app.ts": `import { App } from "appctl";
        export const web = new App({
          name: "web",
          frameworkApp: { fetch: () => new Response(process.version) },
          requiresAuth: false,
        });`,
    });
    const deployed = await command("npx", ["appctl", "deploy", "app.ts", "-o", "url"], dir, env);
    expect(deployed.code, deployed.stderr).toBe(0);
    expect((await get(`${deployed.stdout.trim()}/`)).body).toMatch(new RegExp(`^v${major}\\.`));
    // The next Node gets a platform of its own.
    expect((await command("npx", ["appctl", "platform", "stop"], dir, env)).code).toBe(0);
  });
});
