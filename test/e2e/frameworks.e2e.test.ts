import { execFileSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BillOfMaterials } from "../../src/image/bill-of-materials.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import type { Descriptor, Manifest } from "../../src/oci/model.ts";
import { withNpmsNode } from "../support/npm-node.ts";
import { get, repository, World } from "./harness.ts";

// One real app of each kind, from a user's own folder outside of the repository.
let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

const app = (name: string, setUp: string, value: string) => `
  import { App } from "appctl";
  ${setUp}
  export const app = new App({ name: "${name}", requiresAuth: false, frameworkApp: ${value} });
`;

const apps: Record<string, string> = {
  hono: app(
    "hono",
    `import { Hono } from "hono"; const web = new Hono().get("/", (c) => c.text("hello from hono"));`,
    "web",
  ),
  elysia: app(
    "elysia",
    `import { Elysia } from "elysia"; const web = new Elysia().get("/", () => "hello from elysia");`,
    "web",
  ),
  h3: app("h3", `import { H3 } from "h3"; const web = new H3().get("/", () => "hello from h3");`, "web"),
  express: app(
    "express",
    `import express from "express"; const web = express(); web.get("/", (_req, res) => { res.send("hello from express"); });`,
    "web",
  ),
  fastify: app(
    "fastify",
    `import Fastify from "fastify"; const web = Fastify(); web.get("/", async () => "hello from fastify");`,
    "web",
  ),
  listener: app("listener", "", `(_req, res) => res.end("hello from listener")`),
  fetch: app("fetch", "", `{ fetch: () => new Response("hello from fetch") }`),
};

describe("an app of every kind", () => {
  it.each(Object.keys(apps))("%s", async (name) => {
    const dir = world.folder(name, { "app.ts": apps[name] as string });
    symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", name, "-o", "url"], { cwd: dir })).trim();
    const { status, body, headers } = await get(`${endpoint}/`);
    expect([status, body, headers["appctl-revision"]]).toEqual([200, `hello from ${name}`, `${name}-00001`]);
  });

  it("args: a program of the user's own that listens on $PORT, with the files that it needs", async () => {
    const dir = world.folder("program", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "program", requiresAuth: false, args: ["node", "server.mjs"], include: ["server.mjs", "pages/*.html"] });`,
      "server.mjs": `import { createServer } from "node:http"; import { readFileSync } from "node:fs";
        createServer((_, res) => res.end(readFileSync("pages/index.html"))).listen(process.env.PORT);`,
      "pages/index.html": "hello from a program",
      "left-out.txt": "not asked for",
    });
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", "program", "-o", "url"], { cwd: dir })).trim();
    expect((await get(`${endpoint}/`)).body).toBe("hello from a program");
  });

  it("command: a shell command line", async () => {
    const dir = world.folder("shell", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "shell", requiresAuth: false, env: { GREETING: "hello from a shell" },
          command: "exec node -e 'require(\\"http\\").createServer((q, s) => s.end(process.env.GREETING)).listen(process.env.PORT)'" });`,
    });
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", "shell", "-o", "url"], { cwd: dir })).trim();
    expect((await get(`${endpoint}/`)).body).toBe("hello from a shell");
  });

  it("an entry point before the args, files that the image copies, and an image that is always built", async () => {
    const app = (text: string) => `import { App, ImageSpec } from "appctl";
      export default new App({ name: "entry", requiresAuth: false, args: ["${text}"], include: ["cli.js", "pages"],
        containerImage: new ImageSpec({ entrypoint: ["node", "cli.js"], copy: ["pages"], force: true }) });`;
    const dir = world.folder("entry", {
      "app.ts": app("one"),
      "cli.js": `const { readFileSync } = require("node:fs");
        const pages = readFileSync("pages/index.html", "utf8") + require("node:fs").existsSync("pages/draft.html");
        require("node:http").createServer((q, s) => s.end(process.argv[2] + " " + pages)).listen(process.env.PORT);`,
      "pages/index.html": "page",
      "pages/draft.html": "not finished",
      ".dockerignore": "**/draft.html\n",
    });
    const first = await world.ok(["deploy", "apps", "app.ts", "entry"], { cwd: dir });
    expect(first).toMatch(/entry-image:[\w-]{22} exists \(force\)\. Building…/);
    const { endpoint } = await world.json<{ endpoint: string }>(["get", "apps", "entry"]);
    // The App's own include is not bound by .dockerignore.
    expect((await get(`${endpoint}/`)).body).toBe("one pagetrue");

    world.folder("entry", { "app.ts": app("two") });
    const tagOf = (text: string) => /entry-image:([\w-]{22}) /.exec(text)?.[1];
    const second = await world.ok(["deploy", "apps", "app.ts", "entry"], { cwd: dir });
    expect(tagOf(second)).toBe(tagOf(first));
    expect((await get(`${endpoint}/`)).body).toBe("two pagetrue");

    world.folder("entry", { "pages/index.html": "other" });
    const third = await world.ok(["deploy", "apps", "app.ts", "entry"], { cwd: dir });
    expect(tagOf(third)).not.toBe(tagOf(first));
    expect((await get(`${endpoint}/`)).body).toBe("two othertrue");
  });

  it("packages from a lock file, at the locked version, though nothing is installed beside the app", async () => {
    const dir = world.folder("locked", {
      "package.json": JSON.stringify({ dependencies: { "is-number": "6.0.0" } }),
      "src/app.ts": `import { App, ImageSpec } from "appctl";
        import isNumber from "is-number";
        import { createRequire } from "node:module";
        const { version } = createRequire(import.meta.url)("is-number/package.json");
        export default new App({ name: "locked", requiresAuth: false,
          containerImage: new ImageSpec().withRequirements("../package-lock.json"),
          frameworkApp: { fetch: () => new Response(version + " " + isNumber(7)) } });`,
    });
    const env = withNpmsNode(world.env);
    execFileSync("npm", ["install", "--package-lock-only"], { cwd: dir, env, stdio: "ignore" });
    // A newer version would fit; the lock says which one it is.
    for (const file of ["package.json", "package-lock.json"]) {
      const text = readFileSync(join(dir, file), "utf8");
      writeFileSync(join(dir, file), text.replace(/"is-number": *"6.0.0"/, '"is-number":">=6.0.0"'));
    }
    await world.ok(["deploy", "apps", "src/app.ts", "locked"], { cwd: dir });
    const { endpoint } = await world.json<{ endpoint: string }>(["get", "apps", "locked"]);
    expect((await get(`${endpoint}/`)).body).toBe("6.0.0 true");
  });

  it("a folder with a package.json of its own and its own packages, some in the image's layer only", async () => {
    const dir = world.folder("own", {
      "package.json": JSON.stringify({ name: "own", type: "module", dependencies: { "is-number": "7.0.0" } }),
      "node_modules/greeting/package.json": JSON.stringify({ name: "greeting", version: "1.0.0", main: "index.js" }),
      "node_modules/greeting/index.js": `module.exports = "hello from a bundled package";`,
      "app.ts": `import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        import isNumber from "is-number";
        export default new App({ name: "own", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["is-number@7.0.0"] }),
          frameworkApp: { fetch: () => new Response(greeting + " " + isNumber(7)) } });`,
    });
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "app.ts", "own"], { cwd: dir });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toMatch(/own-image:[\w-]{22} not found\. Building…/);
    const { endpoint } = await world.json<{ endpoint: string }>(["get", "apps", "own"]);
    expect((await get(`${endpoint}/`)).body).toBe("hello from a bundled package true");

    // What ships is written down beside the image: the bundle's part by the bundler, the layer's by the lock.
    const { digest } = await world.json<{ digest: string }>(["deploy", "apps", "app.ts", "own"], { cwd: dir });
    const images = new OciLayout(join(world.cache, "images"));
    const list = await images.resolve(`own-image:sha256-${digest.slice("sha256:".length)}`);
    const { manifests } = await images.readJson<{ manifests: Descriptor[] }>(list?.digest ?? "");
    const { layers } = await images.readJson<Manifest>(manifests[0]?.digest ?? "");
    const bill = await images.readJson<BillOfMaterials>(layers[0]?.digest ?? "");
    expect(bill.components.map(({ purl, properties }) => `${purl} ${properties[0]?.value}`)).toEqual([
      "pkg:npm/greeting@1.0.0 app",
      "pkg:npm/is-number@7.0.0 packages",
    ]);
  });

  it("deploys an app's dependencies first", async () => {
    const dir = world.folder("pair", {
      "app.ts": `import { App } from "appctl";
        const reply = (text: string) => ({ fetch: () => new Response(text) });
        export const back = new App({ name: "back", requiresAuth: false, frameworkApp: reply("back") });
        export const front = new App({ name: "front", requiresAuth: false, frameworkApp: reply("front"), dependencies: [back] });`,
    });
    const stdout = await world.ok(["deploy", "apps", "app.ts", "front"], { cwd: dir });
    const order = stdout.split("\n").filter((line) => line.startsWith("✨"));
    expect(order).toEqual(["✨ Deploying Application: back", "✨ Deploying Application: front"]);
  });
});
