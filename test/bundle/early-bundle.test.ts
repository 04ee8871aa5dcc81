/** A bundle that was begun before its command was understood: the same bytes as the one that is made in the usual way, or none. */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bundle, bundle } from "../../src/bundle/bundle.ts";
import { type EarlyBundle, type EarlyOutput, startBundle } from "../../src/bundle/early-bundle.ts";
import { esbuildProgram, programArguments } from "../../src/bundle/esbuild.ts";
import { buildParts, failureOf, project, temporaryDirectory } from "../app/helpers.ts";

let base: string;
let remove: () => Promise<void>;
let sdkFile: string;
let sdkModules: string;
let count = 0;

const { TMPDIR } = process.env;

beforeAll(async () => {
  ({ dir: base, remove } = await temporaryDirectory());
  // A folder for temporary files that nobody else uses.
  process.env["TMPDIR"] = join(base, "tmp");
  await mkdir(join(base, "tmp"));
  ({ sdkFile } = await buildParts(base));
  sdkModules = join(base, "sdk-modules");
  await mkdir(join(sdkModules, "appctl"), { recursive: true });
  const main = relative(join(sdkModules, "appctl"), sdkFile);
  await writeFile(join(sdkModules, "appctl/package.json"), JSON.stringify({ name: "appctl", main }));
});
afterAll(() => {
  if (TMPDIR === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = TMPDIR;
  return remove();
});

const make = (files: Record<string, string>, packages: string[] = []) =>
  project(join(base, `e${count++}`), files, packages);
const signal = new AbortController().signal;

/** Bundles a file in both ways; `taken` is what the early one had to give. */
async function both(cwd: string, entry = "app.ts") {
  let taken: EarlyOutput | undefined;
  const started = startBundle(entry, { cwd, env: process.env, sdkModules });
  const early: EarlyBundle = {
    async take(...about) {
      taken = await started?.take(...about);
      return taken;
    },
  };
  const usual = await bundle({ entry, cwd, sdkFile, signal });
  return { usual, early: await bundle({ entry, cwd, sdkFile, signal, early }), taken };
}

async function same(cwd: string, entry?: string): Promise<Bundle> {
  const { usual, early, taken } = await both(cwd, entry);
  expect(taken).toBeDefined();
  expect(new TextDecoder().decode(early.map)).toBe(new TextDecoder().decode(usual.map));
  expect({ ...early, code: Buffer.from(early.code), map: "" }).toEqual({
    ...usual,
    code: Buffer.from(usual.code),
    map: "",
  });
  return early;
}

const HONO = `import { App } from "appctl";
import { Hono } from "hono";
const app = new Hono();
export const web = new App({ name: "web", frameworkApp: app });
`;

describe("a bundle that was begun early", () => {
  it("has the same bytes, for an app with a package, files of its own and texts", async () => {
    const cwd = await make(
      {
        "app.ts": `${HONO}import page from "./views/page.html";
import { twice } from "./lib/twice.ts";
import { createHash } from "node:crypto";
app.get("/", (c) => c.html(page + twice(__dirname) + createHash("md5").digest("hex")));`,
        "lib/twice.ts": "export const twice = (text: string) => text + text;",
        "views/page.html": "<h1>Page</h1>",
      },
      ["hono"],
    );
    const { contents, inputs } = await same(cwd);
    expect(contents).toEqual([{ name: "hono", version: expect.any(String) }]);
    expect(inputs[0]).toBe(join(cwd, "app.ts"));
  });

  it("has the same bytes from another working directory, by an absolute name and through a link", async () => {
    const cwd = await make({ "below/app.ts": HONO }, ["hono"]);
    const { map } = await same(cwd, "below/app.ts");
    expect(JSON.parse(new TextDecoder().decode(map)).sources).toContain("app.ts");
    await same(base, join(cwd, "below/app.ts"));
    const link = join(base, `link${count++}`);
    await symlink(cwd, link);
    await same(link, "below/app.ts");
  });

  it("has the same bytes with CommonJS inside, permissions of what it imports, and an appctl of the project's own", async () => {
    const cwd = await make({
      "app.ts": `import { App } from "appctl"; import legacy from "./legacy.cjs"; import { Worker } from "node:worker_threads";
export const web = new App({ name: "web", command: legacy.name + String(Worker) });`,
      "legacy.cjs": "const { basename } = require('path'); exports.name = basename(__filename);",
    });
    expect((await same(cwd)).permissions).toEqual(["worker"]);
    await mkdir(join(cwd, "node_modules/appctl"), { recursive: true });
    await symlink(dirname(sdkFile), join(cwd, "node_modules/appctl/dist"));
    const manifest = { name: "appctl", type: "module", exports: "./dist/index.js" };
    await writeFile(join(cwd, "node_modules/appctl/package.json"), JSON.stringify(manifest));
    await same(cwd);
  });

  it("leaves nothing in the folder for temporary files", async () => {
    await same(await make({ "app.ts": HONO }, ["hono"]));
    const started = startBundle("app.ts", { cwd: await make({ "app.ts": HONO }), env: process.env, sdkModules });
    expect(await readdir(tmpdir())).toHaveLength(1);
    expect(await started?.take("/another.ts", base)).toBeUndefined();
    expect(await readdir(tmpdir())).toEqual([]);
  });
});

describe("is made in the usual way, and says all that there is to say", () => {
  it("when packages stay outside that the file mentions", async () => {
    const list = "pack" + "ages"; // so that it is not seen before
    const files = {
      "app.ts": `${HONO}import { image } from "./image.ts"; export { image };`,
      "image.ts": `import { ImageSpec } from "appctl"; export const image = new ImageSpec({ ["${list}"]: ["hono@4.0.0"] } as never);`,
    };
    const cwd = await make(files, ["hono"]);
    const { early, usual, taken } = await both(cwd);
    expect(taken).toBeDefined();
    expect(early).toEqual(usual);
    expect(early.externals).toMatchObject([{ name: "hono", reason: "listed", spec: "hono@4.0.0" }]);
    // Where the file itself says so, it is not even begun.
    const listed = await make({ "app.ts": `${HONO}export const image = { packages: ["hono@4.0.0"] };` }, ["hono"]);
    expect((await both(listed)).taken).toBeUndefined();
  });

  it("when a package has machine code", async () => {
    const cwd = await make({
      "app.ts": `import { run } from "fast"; export const ran = run();`,
      "node_modules/fast/package.json": '{ "name": "fast", "version": "1.2.3", "main": "index.js", "gypfile": true }',
      "node_modules/fast/index.js": "exports.run = () => 1;",
    });
    const { early, usual, taken } = await both(cwd);
    expect(taken).toBeDefined();
    expect(early).toEqual(usual);
    expect(early.externals).toMatchObject([{ name: "fast", reason: "native", installedVersion: "1.2.3" }]);
  });

  it("when the path has signs that mean something to esbuild's program or to a URL", async () => {
    const files = { "app.ts": HONO, "b/app.ts": "export const other = 1;" };
    const plain = await bundle({ entry: "app.ts", cwd: await make(files, ["hono"]), sdkFile, signal });
    for (const name of ["größe", "a(b)", "50%", "a#b?c", "a b", "a=b", "-x", "@y"]) {
      const cwd = await project(join(base, `n${count++}`, name), files, ["hono"]);
      const { early, usual } = await both(cwd);
      expect(Buffer.from(early.map).equals(Buffer.from(plain.map)), name).toBe(true);
      expect(Buffer.from(early.code).equals(Buffer.from(usual.code)), name).toBe(true);
    }
    const outside = await project(
      join(base, `n${count++}`),
      { "a=b/app.ts": HONO, "b/app.ts": "export const other = 1;" },
      ["hono"],
    );
    expect((await both(outside, "a=b/app.ts")).early.entry).toBe(join(outside, "a=b/app.ts"));
    expect((await both(outside, "a=b/app.ts")).early.inputs[0]).toBe(join(outside, "a=b/app.ts"));
  });

  it("when something may be missing: an addon, a native package, one that is mentioned", async () => {
    const addon = {
      "app.ts": 'import { fast } from "crypto-fast"; export const x = fast;',
      "node_modules/crypto-fast/package.json": '{ "name": "crypto-fast", "version": "1.0.0", "main": "index.js" }',
      "node_modules/crypto-fast/index.js":
        'try { exports.fast = require("./crypto/build/Release/x.node"); } catch { exports.fast = undefined; }',
    };
    const native = {
      "app.ts": 'export let nat; try { nat = require("nat"); } catch { nat = undefined; }',
      "node_modules/nat/package.json": '{ "name": "nat", "version": "1.0.0", "main": "not-built.js", "gypfile": true }',
    };
    const mentioned = {
      "app.ts": 'export const name = "sharp"; export const sharp = await import("sharp").catch(() => undefined);',
    };
    for (const files of [addon, native, mentioned]) {
      const { early, usual } = await both(await make(files));
      expect(early).toEqual(usual);
      expect(early.externals).toHaveLength(1);
    }
    const own = await make({ "app.ts": 'export let x; try { x = require("./x.node"); } catch {}', "x.node": "" });
    const started = startBundle("app.ts", { cwd: own, env: process.env, sdkModules });
    await expect(bundle({ entry: "app.ts", cwd: own, sdkFile, signal, early: started })).rejects.toMatchObject({
      code: "BUNDLE_FAILED",
    });
  });

  it("when the SDK is loaded only when it is needed", async () => {
    const files: Record<string, string>[] = [
      { "app.ts": 'export const { App } = await import("appctl");' },
      { "app.ts": 'export const later = () => import("./lib.ts");', "lib.ts": 'export { App } from "appctl";' },
      { "app.ts": 'const sdk = require("appctl"); export const app = new sdk.App({ name: "x", command: "y" });' },
    ];
    for (const each of files) {
      const { early, usual, taken } = await both(await make(each));
      expect(taken).toBeDefined();
      expect(early).toEqual(usual);
    }
  });

  it("when NODE_PATH leads to packages, which counts in neither way", async () => {
    const cwd = await make({ "app.ts": 'import globby from "globby"; export { globby };' });
    const modules = await make({ "globby/index.js": "export default 1;" });
    const env = { ...process.env, NODE_PATH: modules };
    const started = startBundle("app.ts", { cwd, env, sdkModules });
    await expect(bundle({ entry: "app.ts", cwd, sdkFile, signal, early: started })).rejects.toMatchObject({
      code: "BUNDLE_FAILED",
    });
  });

  it("when the file is odd or wrong", async () => {
    const odd = await make({ "app.ts": "export const odd = { a: 1, a: 2 };" });
    const { early, taken } = await both(odd);
    expect(taken).toBeUndefined();
    expect(early.warnings).toEqual([expect.stringContaining('Duplicate key "a"')]);
    const wrong = await make({ "app.ts": "export const x = ;", "other.ts": 'import "nowhere";' });
    for (const entry of ["app.ts", "other.ts"]) {
      const started = startBundle(entry, { cwd: wrong, env: process.env, sdkModules });
      expect(await failureOf(bundle({ entry, cwd: wrong, sdkFile, signal, early: started }))).toMatchObject({
        code: "BUNDLE_FAILED",
        faults: [expect.anything()],
      });
    }
  });

  it("when it was begun for another file, or what came of it is gone", async () => {
    const cwd = await make({ "app.ts": HONO, "other.ts": "export const other = 1;" }, ["hono"]);
    const started = () => startBundle("other.ts", { cwd, env: process.env, sdkModules });
    const { inputs } = await bundle({ entry: "app.ts", cwd, sdkFile, signal, early: started() });
    expect(inputs[0]).toBe(join(cwd, "app.ts"));
    const gone: EarlyBundle = {
      async take(...about) {
        const early = started();
        for (const name of await readdir(tmpdir())) await rm(join(tmpdir(), name), { recursive: true });
        return early?.take(...about);
      },
    };
    expect((await bundle({ entry: "other.ts", cwd, sdkFile, signal, early: gone })).inputs[0]).toBe(
      join(cwd, "other.ts"),
    );
  });

  it("when another esbuild is asked for, or none can be started", async () => {
    const cwd = await make({ "app.ts": HONO }, ["hono"]);
    process.env["ESBUILD_BINARY_PATH"] = "/nowhere";
    try {
      expect(esbuildProgram()).toBeUndefined();
    } finally {
      delete process.env["ESBUILD_BINARY_PATH"];
    }
    expect(existsSync(esbuildProgram() ?? "")).toBe(true);
    expect(startBundle("nothing.ts", { cwd, env: process.env, sdkModules })).toBeUndefined();
  });
});

it("says options as the program takes them", () => {
  expect(
    programArguments({
      bundle: true,
      sourcesContent: false,
      format: "esm",
      define: { a: "b", c: "d" },
      banner: { js: "x=1" },
    }),
  ).toEqual(["--bundle", "--sources-content=false", "--format=esm", "--define:a=b", "--define:c=d", "--banner:js=x=1"]);
});
