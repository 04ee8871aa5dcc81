import { type ChildProcess, execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
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
/** The folder with other Nodes: outside of the world, whose files are all searched for secrets. */
let nodes: string;
/** The machine's own npm, without the programs that this repository installs. */
const machinePath = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((dir) => !dir.includes("node_modules"))
  .join(delimiter);

/** Programs that have not ended. */
const running = new Set<ChildProcess>();

function command(file: string, args: string[], cwd: string, env: Record<string, string>) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    // npm stays after SIGTERM while it waits for a registry.
    const options = { cwd, env, maxBuffer: 1 << 26, timeout: 90_000, killSignal: "SIGKILL" } as const;
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      running.delete(child);
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
    running.add(child);
  });
}

/** Options of `npm install`: what npm's cache has is taken from there, and a registry that does not answer is given up soon. */
const NPM_OPTIONS = [
  "--prefer-offline",
  "--fetch-retries=1",
  "--fetch-retry-mintimeout=1000",
  "--no-audit",
  "--no-fund",
];

/** The user's environment with the machine's npm. */
const npmEnv = () => ({ ...world.env, PATH: machinePath, NODE_EXTRA_CA_CERTS: process.env["TEST_CA_CERTS"] ?? "" });

beforeAll(async () => {
  world = await World.create();
  nodes = mkdtempSync(join(tmpdir(), "appctl-nodes-"));
  const env = npmEnv();
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", world.home];
  const { stdout, stderr } = await command("npm", pack, repository, env);
  [packed] = JSON.parse(stdout || `${stderr}`) as [Packed];
  installed = world.folder("installed", { "package.json": '{ "private": true, "type": "module" }' });
  const tarball = join(world.home, packed.filename);
  const install = await command("npm", ["install", ...NPM_OPTIONS, tarball], installed, env);
  if (install.code !== 0) throw new Error(install.stderr);
});
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await world.close();
  rmSync(nodes, { recursive: true, force: true });
});

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
    expect(packed.size).toBeLessThanOrEqual(750_000);
    expect(packed.files.length).toBeLessThanOrEqual(70);
  });

  it("names no folder of the machine that it was made on", () => {
    const root = join(installed, "node_modules", "appctl");
    const folders = [repository, homedir(), tmpdir()].filter((folder) => folder.length > "/tmp".length);
    for (const { path } of packed.files) {
      const text = readFileSync(join(root, path), "utf8");
      expect(
        folders.filter((folder) => text.includes(`${folder}/`)),
        path,
      ).toEqual([]);
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
    expect(result).toMatchObject({ code: 0, stdout: "" });
  });
});

const { engines } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { engines: { node: string } };
/** The oldest Node that the package is for, and the latest of later lines. */
const VERSIONS = [engines.node.replace(">=", ""), "24", "26"];

describe.each(VERSIONS)("on Node %s", (nodeVersion) => {
  let env: Record<string, string>;
  let reason: string | undefined;
  const isVersion = (text: string) => `${text.trim()}.`.startsWith(`v${nodeVersion}.`);

  beforeAll(async () => {
    const home = join(nodes, nodeVersion);
    mkdirSync(home);
    writeFileSync(join(home, "package.json"), '{ "private": true }');
    // The package that `node` installs by a script of its own.
    const name = `node-${process.platform}-${process.arch}`;
    const got = await command("npm", ["install", ...NPM_OPTIONS, `${name}@${nodeVersion}`], home, npmEnv());
    const bin = join(home, "node_modules", name, "bin");
    if (!existsSync(join(bin, "node"))) reason = `npm installs no ${name}@${nodeVersion}: ${got.stderr.slice(0, 500)}`;
    // Without the command that the harness has on its PATH: npx finds the installed one.
    env = { ...world.env, PATH: [bin, machinePath].join(delimiter) };
  });
  beforeEach((context) => context.skip(reason !== undefined, reason));

  it("the installed command shows its version and its help", async () => {
    const node = await command("node", ["--version"], installed, env);
    expect(isVersion(node.stdout), node.stdout).toBe(true);
    const version = await command("npx", ["appctl", "--version"], installed, env);
    expect([version.code, version.stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
    const help = await command("npx", ["appctl", "--help"], installed, env);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining("deploy")]);
  });

  it("builds and deploys an app from an empty folder, and the app answers", async () => {
    const dir = world.folder(`installed/empty-${nodeVersion}`, {
      "app.ts": `import { App } from "appctl";
        export const web = new App({
          name: "web",
          frameworkApp: { fetch: () => new Response(process.version) },
          requiresAuth: false,
        });`,
    });
    const built = await command("npx", ["appctl", "build", "app.ts"], dir, env);
    expect([built.code, built.stdout], built.stderr).toEqual([0, expect.stringContaining("web-image:")]);
    const deployed = await command("npx", ["appctl", "deploy", "app.ts", "-o", "url"], dir, env);
    expect(deployed.code, deployed.stderr).toBe(0);
    const { body } = await get(`${deployed.stdout.trim()}/`);
    expect(isVersion(body), body).toBe(true);
    // The next Node gets a platform of its own.
    expect((await command("npx", ["appctl", "platform", "stop"], dir, env)).code).toBe(0);
  });
});
