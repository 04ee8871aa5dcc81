import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bundle, type BundleOptions, bundle } from "../../src/bundle/bundle.ts";
import { mapStack } from "../../src/bundle/mapped-stack.ts";
import { buildParts, failureOf, project, repository, temporaryDirectory } from "../app/helpers.ts";

let base: string;
let remove: () => Promise<void>;
let sdkFile: string;
let count = 0;

beforeAll(async () => {
  ({ dir: base, remove } = await temporaryDirectory());
  ({ sdkFile } = await buildParts(base));
});
afterAll(() => remove());

const make = (files: Record<string, string> | string, packages: string[] = []) =>
  project(join(base, `b${count++}`), typeof files === "string" ? { "app.ts": files } : files, packages);
const run = (cwd: string, more: Partial<BundleOptions> = {}) =>
  bundle({ entry: "app.ts", cwd, sdkFile, signal: new AbortController().signal, ...more });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const sourcesOf = ({ map }: Bundle): string[] => JSON.parse(text(map)).sources;
const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Runs Node's own module loader on a bundle; `expression` is of its module namespace `m` and may await. */
async function load({ code, map }: Bundle, links: Record<string, string> = {}, expression = "m"): Promise<unknown> {
  const dir = join(base, `run${count++}`);
  for (const [name, target] of Object.entries(links)) {
    await mkdir(dirname(join(dir, "node_modules", name)), { recursive: true });
    await symlink(target, join(dir, "node_modules", name));
  }
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "app.mjs"), code);
  await writeFile(join(dir, "app.mjs.map"), map);
  await writeFile(
    join(dir, "print.mjs"),
    `import * as m from "./app.mjs";\nconsole.log(JSON.stringify(${expression}));`,
  );
  const { code: exit, out } = await node(join(dir, "print.mjs"));
  expect(exit).toBe(0);
  return JSON.parse(out);
}

/** Runs a script with Node in a process of its own. */
async function node(script: string): Promise<{ code: number; out: string }> {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const child = spawn(process.execPath, [script], { env, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  const [code] = await once(child, "close");
  return { code, out };
}

const APP = `import { App } from "appctl";
import express from "express";
import { Hono } from "hono";
import { twice } from "./lib/twice.ts";
export const app = new App({ name: "x", frameworkApp: new Hono(), description: twice(__dirname) });
export { express };
`;

describe("the bytes", () => {
  it("are the same in every directory, from every working directory, and name no path of the machine", async () => {
    const files = { "app.ts": APP, "lib/twice.ts": "export const twice = (x: string) => x + x;" };
    const one = await make(files, ["hono", "express"]);
    const other = await project(join(base, "deep/er/and/deeper"), files, ["hono", "express"]);
    const first = await run(one);
    const second = await run(base, { entry: join(other, "app.ts") });
    expect(hash(second.code)).toBe(hash(first.code));
    expect(hash(second.map)).toBe(hash(first.map));
    for (const bytes of [first.code, first.map]) {
      expect(text(bytes)).not.toContain(base);
      expect(text(bytes)).not.toContain(repository);
      expect(text(bytes)).not.toContain("/tmp/");
    }
    expect(text(first.code)).toMatch(/\/\/# sourceMappingURL=app\.mjs\.map\n$/);
    expect(sourcesOf(first)).toContain("app.ts");
    expect(sourcesOf(first)).toContain("lib/twice.ts");
    expect(sourcesOf(first)).toContain("appctl/sdk.js");
    expect(
      sourcesOf(first).filter((path) => /^(?!app\.ts$|lib\/twice\.ts$|appctl\/sdk\.js$|node_modules\/)/.test(path)),
    ).toEqual([]);
    expect(JSON.parse(text(first.map)).sourcesContent).toBeUndefined();
  });

  it("do not depend on whether the project has appctl installed or takes the CLI's", async () => {
    const files = {
      "app.ts": 'import { App } from "appctl";\nexport default new App({ name: "x", command: "true" });',
    };
    const without = await run(await make(files));
    const cwd = await make(files);
    await mkdir(join(cwd, "node_modules/appctl"), { recursive: true });
    await symlink(dirname(sdkFile), join(cwd, "node_modules/appctl/dist"));
    await writeFile(
      join(cwd, "node_modules/appctl/package.json"),
      '{ "name": "appctl", "type": "module", "exports": "./dist/index.js" }',
    );
    const installed = await run(cwd);
    expect(hash(installed.code)).toBe(hash(without.code));
    expect(hash(installed.map)).toBe(hash(without.map));
    expect(without.inputs).toHaveLength(1);
  });
});

describe("what runs", () => {
  it("CommonJS inside, require and __dirname of the user's own, names of functions", async () => {
    const cwd = await make({
      "app.ts": `import { createRequire } from "node:module";
import legacy from "./legacy.cjs";
const require = createRequire(import.meta.url);
export const own = require("node:path").sep;
export const fromCommonJs = legacy.base;
export const here = [__dirname, __filename];
export function longFunctionName() {}
export const named = longFunctionName.name;
export const optional = await import("not-there").catch(() => "absent");`,
      "legacy.cjs":
        'const { basename } = require("path"); exports.base = basename(__dirname + "/x.y"); try { require("nope-optional"); } catch {}',
    });
    const built = await run(cwd);
    expect(await load(built)).toMatchObject({
      own: "/",
      fromCommonJs: "x.y",
      named: "longFunctionName",
      optional: "absent",
    });
    expect(await load(built, {}, "m.here[1] === m.here[0] + '/app.mjs'")).toBe(true);
    expect(built.warnings).toEqual([]);
  });

  it("a stack is mapped to the user's own lines", async () => {
    const cwd = await make({
      "app.ts": 'import { inner } from "./inner.ts";\nexport function outer(): void {\n  inner();\n}\n',
      "inner.ts": "interface Gone { a: 1 }\nexport function inner(): never {\n  throw new Error(`é`);\n}\n",
    });
    const built = await run(cwd);
    const stack = String(
      await load(
        built,
        {},
        "(() => { const { outer } = m; try { outer(); } catch (error) { return error.stack; } })()",
      ),
    );
    const bundleFile = /\(?(?:file:\/\/)?(\/[^\s()]*app\.mjs):/.exec(stack)?.[1] ?? "";
    const mapped = await mapStack(stack, { map: built.map, root: built.root, bundleFile, cwd });
    expect(mapped.location).toEqual({ file: "inner.ts", line: 3, column: 9, lineText: "  throw new Error(`é`);" });
    expect(mapped.frames.slice(0, 2)).toEqual(["at inner (inner.ts:3:9)", "at outer (app.ts:3:3)"]);
  });
});

describe("errors", () => {
  it("reports every error of every file at once, each with its line", async () => {
    const cwd = await make({
      "app.ts":
        'import "./bad.ts";\nimport { gone } from "./good.ts";\nimport x from "./nowhere.ts";\nconsole.log(gone, x);\n',
      "bad.ts": "const é = 1; const ok = ;\n",
      "good.ts": "export const here = 1;",
    });
    const error = await failureOf(run(cwd));
    expect(error).toMatchObject({ code: "BUNDLE_FAILED", exit: 2, message: "app.ts has 2 errors" });
    expect(error.faults.map(({ path }) => path).sort()).toEqual(["app.ts:3:15", "bad.ts:1:25"]);
    expect(error.faults.find(({ path }) => path.startsWith("bad"))?.location?.lineText).toBe(
      "const é = 1; const ok = ;",
    );
    expect(error.location).toEqual(error.faults[0]?.location);
  });

  it("an export that is not there", async () => {
    const cwd = await make({
      "app.ts": 'import { gone } from "./good.ts";\nconsole.log(gone);',
      "good.ts": "export const here = 1;",
    });
    const error = await failureOf(run(cwd));
    expect(error.message).toContain('"gone"');
    expect(error.location).toMatchObject({ file: "app.ts", line: 1, column: 10 });
  });

  it("a package that is missing: where, and both ways out, by the project's own package manager", async () => {
    const cwd = await make({
      "app.ts": '// first\nimport { z } from "zodd";\nexport default z;',
      "package.json": "{}",
      "pnpm-lock.yaml": "",
    });
    const error = await failureOf(run(cwd));
    expect(error.message).toBe('app.ts cannot be bundled: the package "zodd" is not installed');
    expect(error.location).toEqual({ file: "app.ts", line: 2, column: 19, lineText: 'import { z } from "zodd";' });
    expect(error.hint).toContain("ImageSpec.packages");
    expect(error.next).toEqual(["pnpm add zodd"]);
  });

  it("an installed package without that file is not called missing; other runtimes' modules are explained", async () => {
    const wrong = await failureOf(run(await make('import "hono/no-such-part";', ["hono"])));
    expect(wrong.message).not.toContain("not installed");
    expect(wrong.next).toEqual([]);
    const bun = await failureOf(run(await make('import { Database } from "bun:sqlite"; new Database();')));
    expect(bun.hint).toContain("Node.js");
  });

  it("an addon of the user's own", async () => {
    const error = await failureOf(
      run(await make({ "app.ts": 'import x from "./fast.node";\nexport default x;', "fast.node": "" })),
    );
    expect(error.message).toContain("native addon");
    expect(error.location).toMatchObject({ line: 1, column: 15 });
  });

  it("warnings of the user's own files are kept, with their place", async () => {
    const { warnings } = await run(await make("export const x = { a: 1, a: 2 };"));
    expect(warnings).toEqual([expect.stringMatching(/^app\.ts:1:26: Duplicate key "a"/)]);
  });
});

describe("externals", () => {
  it("given as a list: exactly those, and a nested other version stays inside", async () => {
    const pkg = (version: string) => `{ "name": "dep", "version": "${version}" }`;
    const cwd = await make({
      "app.ts": 'import dep from "dep/index.js";\nimport user from "user";\nexport default [dep, user, "dep@9"];',
      "node_modules/dep/package.json": pkg("2.0.0"),
      "node_modules/dep/index.js": 'module.exports = "two";',
      "node_modules/user/package.json": '{ "name": "user", "version": "1.0.0" }',
      "node_modules/user/index.js": 'module.exports = "uses " + require("dep");',
      "node_modules/user/node_modules/dep/package.json": pkg("1.0.0"),
      "node_modules/user/node_modules/dep/index.js": 'module.exports = "one";',
    });
    const outside = await run(cwd, { external: ["dep@2.0.0"] });
    expect(outside.externals).toMatchObject([
      { name: "dep", spec: "dep@2.0.0", installedVersion: "2.0.0", reason: "listed" },
    ]);
    expect(await load(outside, { dep: join(cwd, "node_modules/dep") })).toMatchObject({
      default: ["two", "uses one", "dep@9"],
    });
    const inside = await run(cwd, { external: [] });
    expect(inside.externals).toEqual([]);
    expect(inside.contents).toEqual([
      { name: "dep", version: "1.0.0" },
      { name: "dep", version: "2.0.0" },
      { name: "user", version: "1.0.0" },
    ]);
    expect(await load(inside)).toMatchObject({ default: ["two", "uses one", "dep@9"] });
  });

  it("are guessed from files that are imported by relative paths, not from import statements or comments' words", async () => {
    const cwd = await make(
      {
        "app.ts":
          'import { Hono } from "hono";\nimport { pins } from "./image.js";\nexport default [new Hono(), pins];',
        "image.ts": 'export const pins = ["hono@4.13.19", "other"];',
      },
      ["hono"],
    );
    const built = await run(cwd);
    expect(built.externals).toMatchObject([{ name: "hono", spec: "hono@4.13.19" }]);
    expect(built.mentioned).toEqual(["hono@4.13.19"]);
    const plain = await run(await make('import { Hono } from "hono";\nexport default Hono;', ["hono"]));
    expect(plain.externals).toEqual([]);
  });
});

describe("the process", () => {
  it("ends by itself as soon as the bundle is made, and an abort leaves nothing that holds it", async () => {
    const cwd = await make(APP.replace('import { twice } from "./lib/twice.ts";', "const twice = String;"), [
      "hono",
      "express",
    ]);
    const script = join(cwd, "run.ts");
    await writeFile(
      script,
      `import { bundle } from ${JSON.stringify(join(repository, "src/bundle/bundle.ts"))};
const built = await bundle({ entry: "app.ts", cwd: ${JSON.stringify(cwd)}, sdkFile: ${JSON.stringify(sdkFile)}, signal: new AbortController().signal });
const abort = new AbortController();
const late = bundle({ entry: "app.ts", cwd: ${JSON.stringify(cwd)}, sdkFile: ${JSON.stringify(sdkFile)}, signal: abort.signal });
abort.abort(new Error("enough"));
const reason = await late.catch((error) => error.message);
process.on("exit", () => console.log("bytes", built.code.length > 1000, reason, process.getActiveResourcesInfo().includes("Timeout")));`,
    );
    const { code, out } = await node(script);
    expect({ code, out }).toEqual({ code: 0, out: "bytes true enough false\n" });
  });

  it("refuses to start when it is aborted already", async () => {
    await expect(run(base, { signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
  });
});

it("survives being moved: nothing in a bundle is found by the place where it was made", async () => {
  const cwd = await make({ "app.ts": 'import text from "./t.txt";\nexport default text;', "t.txt": "inside" });
  const built = await run(cwd);
  await rename(cwd, `${cwd}-gone`);
  expect(await load(built)).toMatchObject({ default: "inside" });
});
