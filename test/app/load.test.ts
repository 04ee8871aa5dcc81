import { readdirSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { packagesFor } from "../../src/app/load.ts";
import { missingPackagesOf } from "../../src/app/missing-packages.ts";
import { deployOrder, selectApp } from "../../src/app/select.ts";
import { buildParts, failureOf, loader, project, repository, temporaryDirectory } from "./helpers.ts";

let base: string;
let remove: () => Promise<void>;
let load: ReturnType<typeof loader>;
let count = 0;

beforeAll(async () => {
  ({ dir: base, remove } = await temporaryDirectory());
  load = loader(await buildParts(base));
});
afterAll(() => remove());

const make = (files: Record<string, string> | string, packages: string[] = []) =>
  project(join(base, `p${count++}`), typeof files === "string" ? { "app.ts": files } : files, packages);

const HONO =
  'import { App, ImageSpec, Secret, Resources } from "appctl";\nimport { Hono } from "hono";\nconst app = new Hono();\n';
const PLAIN = 'import { App, ImageSpec, Secret } from "appctl";\nconst app = { fetch: () => new Response("hi") };\n';

describe("frameworks", () => {
  it.each([
    ["fetch", "hono", 'import { Hono } from "hono"; const app = new Hono().get("/", (c) => c.text("x"));'],
    ["fetch", "elysia", 'import { Elysia } from "elysia"; const app = new Elysia().get("/", "x");'],
    ["fetch", "h3", 'import { H3 } from "h3"; const app = new H3().get("/", () => "x");'],
    ["node", "express", 'import express from "express"; const app = express();'],
    ["fastify", "fastify", 'import Fastify from "fastify"; const app = Fastify();'],
  ])("takes what answers by %s: %s, bundled", async (kind, name, code) => {
    const cwd = await make(
      `import { App } from "appctl";\n${code}\nexport default new App({ name: "x", frameworkApp: app });`,
      [name],
    );
    const loaded = await load(cwd);
    expect(selectApp(loaded, "x").frameworkKind).toBe(kind);
    expect(loaded.bundle.externals).toEqual([]);
    expect(loaded.bundle.contents.map((content) => content.name)).toContain(name);
  });
});

describe("several Apps in one file", () => {
  const two = `${PLAIN}const shared = { frameworkApp: app };
export const api = new App({ name: "web-api", ...shared });
export const front = new App({ name: "front", dependencies: [api], ...shared });
export { front as again };`;

  it("finds each once, the default export included, and deploys dependencies first", async () => {
    const loaded = await load(await make(`${two}\nexport default new App({ name: "third", command: "node x.js" });`));
    expect(loaded.apps.map(({ name }) => name).sort()).toEqual(["front", "third", "web-api"]);
    expect(deployOrder(loaded, "front").map(({ spec }) => spec.name)).toEqual(["web-api", "front"]);
    expect(selectApp(loaded, "third").spec).toMatchObject({ kind: "command", command: "node x.js" });
  });

  it("says the valid names and the nearest when the name is wrong, and asks for one when it is missing", async () => {
    const loaded = await load(await make(two));
    const wrong = await failureOf(() => selectApp(loaded, "web-apl"));
    expect(wrong).toMatchObject({ code: "APP_NOT_FOUND", exit: 2, message: 'app.ts has no App named "web-apl"' });
    expect(wrong.hint).toContain('"web-api"');
    expect(wrong.hint).toContain("front");
    expect(wrong.next).toEqual(["appctl deploy apps app.ts web-api"]);
    const none = await failureOf(() => selectApp(loaded));
    expect(none).toMatchObject({ code: "APP_NAME_REQUIRED", exit: 2 });
    expect(none.hint).toContain("front");
  });

  it("takes the only App without a name being asked for", async () => {
    const loaded = await load(await make(`${PLAIN}export const a = new App({ name: "only", frameworkApp: app });`));
    expect(selectApp(loaded).spec.name).toBe("only");
  });

  it("refuses a name that is taken twice, at its second line", async () => {
    const cwd = await make(
      `${PLAIN}export const a = new App({ name: "same", frameworkApp: app });\nexport const b = new App({\n  name: "same",\n  frameworkApp: app,\n});`,
    );
    const error = await failureOf(load(cwd));
    expect(error).toMatchObject({ code: "DUPLICATE_APP_NAME", exit: 2 });
    expect(error.location).toEqual({ file: "app.ts", line: 5, column: 3, lineText: '  name: "same",' });
    expect(error.faults.map(({ location }) => location?.line)).toEqual([3, 5]);
  });

  it("finds the Apps of a CommonJS file", async () => {
    const code = 'const { App } = require("appctl");\nexports.one = new App({ name: "one", args: ["node", "x.js"] });';
    const loaded = await load(await make({ "app.cjs": code }), "app.cjs");
    expect(selectApp(loaded).spec).toMatchObject({ name: "one", kind: "args" });
  });
});

describe("faults of the file", () => {
  it("no App: shows the export that could be one", async () => {
    const error = await failureOf(
      load(await make("// a comment\nexport const web = { fetch: () => new Response() };\n")),
    );
    expect(error).toMatchObject({ code: "NO_APP", exit: 2, message: "app.ts has no App" });
    expect(error.location).toMatchObject({
      line: 2,
      column: 1,
      lineText: "export const web = { fetch: () => new Response() };",
    });
    expect(error.hint).toContain("frameworkApp: web");
  });

  it("an App that is not exported", async () => {
    const error = await failureOf(
      load(await make(`${PLAIN}const it = new App({ name: "hidden", frameworkApp: app });\nit;`)),
    );
    expect(error).toMatchObject({ code: "NO_APP", message: 'app.ts declares the App "hidden" but exports none' });
    expect(error.location).toMatchObject({ line: 3, column: 12 });
  });

  it.each([
    [
      "a cause",
      'throw new Error("outer", { cause: new TypeError("inner") });',
      "Error: outer\n  caused by TypeError: inner",
    ],
    ["parts", 'throw new AggregateError([new Error("one"), 2], "both");', "AggregateError: both\n  Error: one\n  2"],
    ["no import", 'const name = "no-" + "pkg"; await import(name);', "Error: Cannot find package 'no-pkg'"],
    [
      "a timer",
      'setTimeout(() => { throw new Error("late"); }, 5); await new Promise(() => setInterval(() => {}, 1000));',
      "Error: late",
    ],
    ["a value that is no error", "throw { a: 1 };", "{ a: 1 }"],
  ])("an error with %s: told whole, without the place of the bundle", async (_, code, message) => {
    const error = await failureOf(load(await make(`${code}\nexport default 1;\n`)));
    expect([error.code, error.message]).toEqual(["DESCRIBE_FAILED", `app.ts throws while it is loaded: ${message}`]);
  });

  it("a throwing module: its own line, through the source map, without the place of the bundle", async () => {
    const cwd = await make({
      "app.ts": 'import { boot } from "./lib/boot.ts";\nboot();\nexport default 1;\n',
      "lib/boot.ts":
        'type Unused = { a: string };\n\nexport function boot() {\n  console.log("before");\n  throw new TypeError("no database");\n}\n',
    });
    const error = await failureOf(load(cwd));
    expect(error).toMatchObject({ code: "DESCRIBE_FAILED", exit: 2 });
    expect(error.message).toBe("app.ts throws while it is loaded: TypeError: no database");
    expect(error.location).toEqual({
      file: "lib/boot.ts",
      line: 5,
      column: 9,
      lineText: '  throw new TypeError("no database");',
    });
    expect(error.frames?.[0]).toBe("at boot (lib/boot.ts:5:9)");
    expect(error.frames?.[1]).toContain("app.ts:2:1");
    expect(error.details).toContain("  before");
    expect(JSON.stringify([error.message, error.hint, error.frames, error.details])).not.toContain("appctl-describe");
  });

  it("a module that needs a secret: says that there is none", async () => {
    const cwd = await make('if (!process.env["TOKEN"]) throw new Error("TOKEN?");\nexport default 1;');
    const error = await failureOf(load(cwd, "app.ts", { env: { ...process.env, TOKEN: "x" } }));
    expect(error.location?.line).toBe(1);
    expect(error.hint).toContain("APPCTL_DESCRIBE");
  });

  it("a value that is no Error, an unhandled rejection, an import that does not link", async () => {
    expect((await failureOf(load(await make('throw "text"; export {}')))).message).toContain("text");
    const rejected = await make(
      'Promise.reject(new Error("later"));\nawait new Promise((r) => setTimeout(r, 60_000));\nexport {}',
    );
    expect(await failureOf(load(rejected))).toMatchObject({ location: { line: 1 }, code: "DESCRIBE_FAILED" });
    const unlinked = await make(
      `import { nope } from "hono";\nconsole.log(nope);\nconst p = ["hono@4.13.19"];\nexport { p };`,
      ["hono"],
    );
    const error = await failureOf(load(unlinked));
    expect(error.message).toContain("nope");
    expect(error.message.length).toBeLessThan(300);
    expect(error.location).toMatchObject({ file: "app.ts", line: 1 });
  });

  it("process.exit, a top-level await that nothing settles, one that waits, an endless loop", async () => {
    const exited = await failureOf(load(await make("export {};\nfunction stop() { process.exit(3); }\nstop();")));
    expect(exited).toMatchObject({
      code: "DESCRIBE_EXITED",
      message: "app.ts calls process.exit(3) while it is loaded",
    });
    expect(exited.location).toMatchObject({ line: 2, column: 27 });
    const unsettled = await failureOf(load(await make("const x = 1;\nawait new Promise(() => {});\nexport { x };")));
    expect(unsettled).toMatchObject({ code: "DESCRIBE_UNSETTLED", exit: 2, location: { line: 2 } });
    const waiting = await make("setInterval(() => {}, 50);\nawait new Promise(() => {});\nexport {};");
    const looping = await make("for (;;) {}\nexport {};");
    const [late, loop] = await Promise.all(
      [waiting, looping].map((cwd) => failureOf(load(cwd, "app.ts", { timeoutMs: 1000 }))),
    );
    expect(late).toMatchObject({ code: "DESCRIBE_TIMEOUT", message: "app.ts was not loaded within 1 s" });
    expect(late?.hint).toContain("top-level await");
    expect(loop).toMatchObject({ code: "DESCRIBE_TIMEOUT" });
    expect(loop?.hint).toContain("endless loop");
  });

  it("no such file, a directory, another kind of file: names what was meant", async () => {
    const cwd = await make({ "app.ts": "export {}", "sub/index.ts": "export {}", "notes.txt": "" });
    expect(await failureOf(load(cwd, "ap.ts"))).toMatchObject({
      code: "FILE_NOT_FOUND",
      exit: 2,
      hint: 'did you mean "app.ts"?',
    });
    expect(await failureOf(load(cwd, "app.py"))).toMatchObject({
      code: "FILE_NOT_FOUND",
      hint: 'did you mean "app.ts"?',
    });
    expect(await failureOf(load(cwd, "sub"))).toMatchObject({
      code: "FILE_TYPE",
      hint: 'did you mean "sub/index.ts"?',
    });
    expect(await failureOf(load(cwd, "notes.txt"))).toMatchObject({ code: "FILE_TYPE", exit: 2 });
  });
});

describe("faults of an App", () => {
  const app = `${PLAIN}export const db = new App({ name: "db", frameworkApp: app, port: 0 });
export const web = new App({
  name: "web", // not (yet) "final"
  frameworkApp: app,
  limits: { mem: "1GB" },
  dependencies: [db],
});
export const fine = new App({ name: "fine", frameworkApp: app });
`;

  it("are shown at the lines of the options, those of its dependencies with them, and hold up no other App", async () => {
    const loaded = await load(await make(app));
    const error = await failureOf(() => selectApp(loaded, "web"));
    expect(error).toMatchObject({
      code: "INVALID_APP",
      exit: 2,
      message: 'App "web" in app.ts is not valid: 2 options are not valid',
    });
    expect(
      error.faults.map(({ path, location }) => [path, location?.line, location?.column, location?.lineText]),
    ).toEqual([
      ["db: port", 3, 60, 'export const db = new App({ name: "db", frameworkApp: app, port: 0 });'],
      ["limits.mem", 7, 3, '  limits: { mem: "1GB" },'],
    ]);
    expect(error.location?.file).toBe("app.ts");
    expect(selectApp(loaded, "fine").spec.name).toBe("fine");
  });

  it("are told in the message when there is one only", async () => {
    const loaded = await load(
      await make(`${PLAIN}export default new App({ name: "x", frameworkApp: app, requireAuth: false });`),
    );
    const error = await failureOf(() => selectApp(loaded));
    expect(error.message).toBe('App "x" in app.ts is not valid: requireAuth is not an option of App');
    expect(error.hint).toBe('did you mean "requiresAuth"?');
    expect(error.location).toMatchObject({ line: 3, column: 56 });
  });
});

it("loads the template of the guide as it is", async () => {
  const text = await readFile(join(repository, "templates/api-key/app.ts"), "utf8");
  const loaded = await load(await make(text, ["hono"]));
  const app = selectApp(loaded, "api-key-auth");
  expect(app.spec).toMatchObject({ port: 8082, requiresAuth: false, limits: { cpu: "1", mem: "1Gi" } });
  expect(app.image).toMatchObject({ name: "api-key-auth-image", packages: ["hono@4.13.19"] });
});

describe("describing", () => {
  it("hides the caller's environment, and shows APPCTL_DESCRIBE", async () => {
    const cwd = await make(
      `${PLAIN}export default new App({ name: "env", frameworkApp: app, description: JSON.stringify(process.env) });`,
    );
    const env = {
      PATH: "/bin",
      HOME: "/home/x",
      LC_ALL: "C",
      K_SERVICE: "s",
      APPCTL_API_KEY: "k",
      TOKEN: "secret",
      NODE_OPTIONS: "",
    };
    const { spec } = selectApp(await load(cwd, "app.ts", { env }));
    expect(JSON.parse(spec.description ?? "")).toEqual({
      PATH: "/bin",
      HOME: "/home/x",
      LC_ALL: "C",
      APPCTL_DESCRIBE: "1",
    });
  });

  it("is not held up by a file that listens, sets timers and prints, and leaves nothing behind", async () => {
    const cwd = await make(
      `import { createServer } from "node:http";\n${PLAIN}console.log("noise"); setInterval(() => {}, 10);
createServer(() => {}).listen(0); export default new App({ name: "busy", frameworkApp: app });`,
    );
    // A folder of its own, in which no other test leaves anything.
    const { dir: folder, remove } = await temporaryDirectory();
    onTestFinished(remove);
    vi.stubEnv("TMPDIR", folder);
    const loaded = await load(cwd);
    expect(selectApp(loaded).spec.name).toBe("busy");
    await loaded.tidied;
    expect(readdirSync(folder)).toEqual([]);
  });

  it("stops when it is aborted", async () => {
    const cwd = await make("setInterval(() => {}, 1000); await new Promise(() => {}); export {};");
    const abort = new AbortController();
    const loading = load(cwd, "app.ts", { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("stop it")), 100);
    await expect(loading).rejects.toThrow("stop it");
  });

  it("reads tsconfig paths, JSON, text, dynamic imports, top-level await and files beside it", async () => {
    const cwd = await make({
      "tsconfig.json": '{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } } // comments are fine',
      "src/name.ts": 'export const name: string = "all";',
      "data.json": '{ "port": 8123 }',
      "notes.md": "# Notes",
      "raw.xyz": "raw",
      "later.ts": "export const max = 3;",
      "app.ts": `import { readFileSync } from "node:fs";
import { join } from "node:path";
import { name } from "@/name.ts";
import data from "./data.json";
import notes from "./notes.md";
import raw from "./raw.xyz" with { type: "text" };
${PLAIN}const { max } = await import("./later.ts");
const beside = readFileSync(join(import.meta.dirname, "notes.md"), "utf8") + readFileSync(join(__dirname, "raw.xyz"), "utf8");
export default new App({ name, port: data.port, maxReplicas: max, description: notes + raw + beside, frameworkApp: app });`,
    });
    const loaded = await load(cwd);
    expect(selectApp(loaded).spec).toMatchObject({
      name: "all",
      port: 8123,
      maxReplicas: 3,
      description: "# Notesraw# Notesraw",
    });
    expect(loaded.bundle.inputs.map((path) => path.slice(cwd.length + 1)).sort()).toEqual(
      ["app.ts", "data.json", "later.ts", "notes.md", "raw.xyz", "src/name.ts"].sort(),
    );
  });
});

describe("packages of the ImageSpec", () => {
  it("stay outside, under the spec that is listed, and are found when the file is described", async () => {
    const cwd = await make(
      `${HONO}export default new App({ name: "x", frameworkApp: app, containerImage: new ImageSpec({ packages: ["hono@4.13.19"] }) });`,
      ["hono"],
    );
    const { bundle } = await load(cwd);
    expect(bundle.externals).toMatchObject([{ name: "hono", spec: "hono@4.13.19", reason: "listed" }]);
    expect(Buffer.from(bundle.code).toString()).toContain('from"hono"');
  });

  it("are bundled when a literal only looked like a listed package, and stay outside when none did", async () => {
    const mentions = await make(`${HONO}export default new App({ name: "x", type: "hono", frameworkApp: app });`, [
      "hono",
    ]);
    const { bundle: inside } = await load(mentions);
    expect(inside.externals).toEqual([]);
    expect(inside.contents.map(({ name }) => name)).toEqual(["hono"]);
    const computed = await make(
      `${HONO}const v = "4.13.19";\nexport default new App({ name: "x", frameworkApp: app, containerImage: { packages: [["ho", "no@", v].join("")] } });`,
      ["hono"],
    );
    const { bundle: outside } = await load(computed);
    expect(outside.externals).toMatchObject([{ name: "hono", spec: "hono@4.13.19" }]);
    expect(outside.contents).toEqual([]);
  });

  it("that another App of the file lists go into every App's layer", async () => {
    const cwd = await make(
      `${HONO}export const a = new App({ name: "a", frameworkApp: app, containerImage: new ImageSpec({ packages: ["hono@4.13.19", "zod"] }) });
export const b = new App({ name: "b", frameworkApp: app });`,
      ["hono"],
    );
    const loaded = await load(cwd);
    expect(packagesFor(selectApp(loaded, "a").image, loaded.bundle)).toEqual(["hono@4.13.19", "zod"]);
    expect(packagesFor(selectApp(loaded, "b").image, loaded.bundle)).toEqual(["hono@4.13.19"]);
  });

  it("that are not installed are asked for, and taken from packageDirs", async () => {
    const cwd = await make(
      `${HONO}export default new App({ name: "x", frameworkApp: app, containerImage: new ImageSpec({ packages: ["hono@4.13.19"] }) });`,
    );
    const error = await failureOf(load(cwd));
    expect(error).toMatchObject({ code: "PACKAGE_NOT_INSTALLED", exit: 2, next: ["npm install hono@4.13.19"] });
    expect(missingPackagesOf(error)).toEqual({
      missing: [{ name: "hono", spec: "hono@4.13.19" }],
      packages: ["hono@4.13.19"],
    });
    expect(missingPackagesOf(new Error("other"))).toBeUndefined();
    await project(cwd, { "pnpm-lock.yaml": "" });
    expect(await failureOf(load(cwd))).toMatchObject({ next: ["pnpm add hono@4.13.19"] });
    const elsewhere = await project(join(base, "elsewhere"), {}, ["hono"]);
    const packageDirs = new Map([["hono", join(elsewhere, "node_modules/hono")]]);
    expect(selectApp(await load(cwd, "app.ts", { packageDirs })).spec.name).toBe("x");
  });

  it("with native code stay outside by themselves, also when another package brings them, and run", async () => {
    const cwd = await make(
      {
        "app.ts": `import { css } from "wrapper";\n${PLAIN}export default new App({ name: "x", frameworkApp: app, description: css("a { color: #ff0000 }") });`,
        "node_modules/wrapper/package.json": '{ "name": "wrapper", "version": "1.2.3", "main": "index.js" }',
        "node_modules/wrapper/index.js":
          'const { transform } = require("lightningcss");\nexports.css = (code) => transform({ filename: "x", code: Buffer.from(code), minify: true }).code.toString();\n',
      },
      ["lightningcss"],
    );
    const loaded = await load(cwd);
    const app = selectApp(loaded);
    expect(app.spec.description).toBe("a{color:red}");
    const { version } = JSON.parse(await readFile(join(cwd, "node_modules/lightningcss/package.json"), "utf8"));
    expect(loaded.bundle.externals).toMatchObject([
      { name: "lightningcss", reason: "native", installedVersion: version },
    ]);
    expect(packagesFor(app.image, loaded.bundle)).toEqual([`lightningcss@${version}`]);
    expect(loaded.bundle.contents).toEqual([{ name: "wrapper", version: "1.2.3" }]);
  });

  it("that load their addon from a deep directory are found out by the .node file", async () => {
    const cwd = await make({
      "app.ts": `import "deep";\n${PLAIN}export default new App({ name: "x", frameworkApp: app });`,
      "node_modules/deep/package.json": '{ "name": "deep", "version": "0.1.0" }',
      "node_modules/deep/index.js": 'try { require("./out/addon.node"); } catch {}',
      "node_modules/deep/out/addon.node": "",
    });
    expect((await load(cwd)).bundle.externals).toMatchObject([
      { name: "deep", reason: "native", installedVersion: "0.1.0" },
    ]);
  });
});

describe("where the file lies", () => {
  it("works in a directory without package.json, by a path from elsewhere, and with the project's own appctl", async () => {
    const cwd = await make({ "app.ts": `${PLAIN}export default new App({ name: "x", frameworkApp: app });` });
    const loaded = await load(base, join(cwd, "app.ts").slice(base.length + 1));
    expect(selectApp(loaded).spec.name).toBe("x");
    const own = join(cwd, "node_modules/appctl");
    await mkdir(own, { recursive: true });
    await writeFile(
      join(own, "package.json"),
      '{ "name": "appctl", "version": "9.9.9", "exports": "./index.js", "type": "module" }',
    );
    await writeFile(
      join(own, "index.js"),
      `export class App { constructor(o) { this.name = o.name; this.options = { ...o, type: "own" }; Object.defineProperty(this, Symbol.for("appctl.sdk.App"), { value: true }); } }
export class ImageSpec {} export class Secret {}`,
    );
    expect(selectApp(await load(cwd)).spec).toMatchObject({ name: "x", type: "own" });
  });
});
