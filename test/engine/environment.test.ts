import { existsSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { PinnedSecret } from "../../src/engine/engine.ts";
import { call, fetchApp, ref, startEngine, until } from "./helpers.ts";

const showEnv = fetchApp("return Response.json(process.env);");

describe("the environment of a replica", () => {
  it("is made from nothing: what is the platform's own does not get in", async () => {
    process.env["SOMETHING_OF_THE_PLATFORM"] = "private";
    process.env["NODE_EXTRA_CA_CERTS"] = "/nowhere.pem";
    const { engine, revision, deploy, secrets } = await startEngine({
      env: { ...process.env, LANG: "de_DE.UTF-8", TZ: "Europe/Berlin" },
    });
    secrets.set("s1@2", Buffer.from("from the secret"));
    await deploy(
      await revision(
        "web-00001",
        { app: showEnv },
        {
          env: { GREETING: "hello", HOME_TOWN: "x", OVERRIDDEN: "by the secret" },
          secrets: [{ key: "s", envVar: "OVERRIDDEN", mount: "env", id: "s1", version: 2 }],
        },
      ),
    );
    delete process.env["SOMETHING_OF_THE_PLATFORM"];
    delete process.env["NODE_EXTRA_CA_CERTS"];
    const env: Record<string, string> = JSON.parse((await call(engine.lease(ref))).body);
    expect(Object.keys(env).sort()).toEqual([
      "APPCTL_APP",
      "APPCTL_ENDPOINT",
      "APPCTL_REPLICA_ID",
      "APPCTL_REVISION",
      "GREETING",
      "HOME",
      "HOME_TOWN",
      "HOST",
      "K_CONFIGURATION",
      "K_REVISION",
      "K_SERVICE",
      "LANG",
      "OVERRIDDEN",
      "PATH",
      "PORT",
      "TMPDIR",
      "TZ",
    ]);
    expect(env).toMatchObject({
      K_REVISION: "web-00001",
      GREETING: "hello",
      OVERRIDDEN: "from the secret",
      LANG: "de_DE.UTF-8",
      TZ: "Europe/Berlin",
      PORT: "8080",
      HOST: "127.0.0.1",
      APPCTL_ENDPOINT: "http://127.0.0.1:7654",
    });
    expect(env["PATH"]?.split(":")).toContain("/usr/bin");
  });

  it("has the platform's Node first for programs, and a port of its own for each", async () => {
    const { engine, revision, deploy } = await startEngine();
    const server = `
const { execFileSync } = require("node:child_process");
const node = execFileSync("node", ["-p", "process.version"], { encoding: "utf8" }).trim();
require("node:http").createServer((req, res) => res.end(JSON.stringify({ node, port: process.env.PORT, cwd: process.cwd(), argv: process.argv.slice(2), mapped: process.execArgv }))).listen(process.env.PORT, process.env.HOST);`;
    const source = { files: { "server.cjs": server } };
    const spec = { kind: "args" as const, args: ["node", "server.cjs", "a b", "$HOME"] };
    expect((await deploy(await revision("web-00001", source, { spec }))).at(-1)).toMatchObject({ ready: "True" });
    const lease = engine.lease(ref);
    const port = lease && "port" in lease.address ? String(lease.address.port) : "";
    expect(JSON.parse((await call(lease)).body)).toMatchObject({
      node: process.version,
      port,
      argv: ["a b", "$HOME"],
      mapped: ["--enable-source-maps"],
    });
    await deploy(await revision("web-00002", source, { spec }));
    expect(JSON.parse((await call(engine.lease(ref))).body).port).not.toBe(port);
  });

  it("finds the programs of the app's own packages by name", async () => {
    const { engine, revision, deploy } = await startEngine();
    const start = `#!/bin/sh
exec node -e 'require("node:http").createServer((q, s) => s.end("mine")).listen(process.env.PORT)'`;
    const made = await revision(
      "web-00001",
      { files: { "node_modules/.bin/my-server": start } },
      { spec: { kind: "command", command: "chmod +x node_modules/.bin/my-server && my-server" } },
    );
    expect((await deploy(made)).at(-1)).toMatchObject({ ready: "True" });
    expect(await call(engine.lease(ref))).toMatchObject({ body: "mine" });
  });
});

describe("secrets", () => {
  const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\r\n-----END PRIVATE KEY-----\n";
  const values: [string, Buffer][] = [
    ["TRAILING_NEWLINE", Buffer.from("value\n")],
    ["CRLF", Buffer.from("one\r\ntwo\r\n")],
    ["PEM", Buffer.from(pem)],
    ["QUOTES", Buffer.from(`'single' "double" \`back\` $HOME \\n`)],
    ["EQUALS", Buffer.from("a=b=c==")],
    ["SPACES", Buffer.from("  around  ")],
    ["LARGE", Buffer.alloc(64 * 1024, "k")],
    ["UTF8", Buffer.from("schlüssel 🔑 \ufeffbom")],
    ["BOM_FIRST", Buffer.from("\ufeffvalue")],
  ];
  const binary = Buffer.from([0, 255, 10, 13, 0, 128]);

  it("arrive byte for byte, in variables and in files only the app can read", async () => {
    const { engine, revision, deploy, secrets } = await startEngine();
    const pinned: PinnedSecret[] = [];
    for (const [name, value] of [...values, ["BINARY", binary] as [string, Buffer]]) {
      secrets.set(`${name}@1`, value);
      if (name !== "BINARY") pinned.push({ key: name, envVar: name, mount: "env", id: name, version: 1 });
      pinned.push({ key: name, envVar: `${name}_FILE`, mount: "file", id: name, version: 1 });
    }
    const app = fetchApp(
      `const name = new URL(request.url).pathname.slice(1);
       const file = process.env[name + "_FILE"] ?? "";
       const stat = statSync(file);
       return Response.json({ env: process.env[name] === undefined ? null : Buffer.from(process.env[name]).toString("base64"), file: readFileSync(file).toString("base64"), path: file, mode: (stat.mode & 0o777).toString(8), dirMode: (statSync(dirname(file)).mode & 0o777).toString(8) });`,
      'import { readFileSync, statSync } from "node:fs"; import { dirname } from "node:path";',
    );
    const deployed = await deploy(await revision("web-00001", { app }, { secrets: pinned }));
    expect(deployed.at(-1)).toMatchObject({ ready: "True" });
    let path = "";
    for (const [name, value] of values) {
      const seen = JSON.parse((await call(engine.lease(ref), `/${name}`)).body);
      expect({ name, ...seen }).toMatchObject({
        name,
        env: value.toString("base64"),
        file: value.toString("base64"),
        mode: "400",
        dirMode: "700",
      });
      path = seen.path;
    }
    expect(JSON.parse((await call(engine.lease(ref), "/BINARY")).body)).toMatchObject({
      env: null,
      file: binary.toString("base64"),
    });
    if (existsSync("/dev/shm")) expect(path).toMatch(/^\/dev\/shm\//);
    expect(statSync(path).size).toBeGreaterThan(0);

    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    expect(existsSync(path)).toBe(false);
  });

  it("are those of the revision's pinned versions", async () => {
    const { engine, revision, deploy, secrets } = await startEngine();
    secrets.set("s1@1", Buffer.from("old"));
    secrets.set("s1@2", Buffer.from("new"));
    const app = { app: fetchApp('return new Response(process.env["S"]);') };
    const pin = (version: number) => [{ key: "s", envVar: "S", mount: "env" as const, id: "s1", version }];
    const first = await revision("web-00001", app, { secrets: pin(1) });
    await deploy(first);
    expect(await call(engine.lease(ref))).toMatchObject({ body: "old" });
    await deploy(await revision("web-00002", app, { secrets: pin(2) }));
    expect(await call(engine.lease(ref))).toMatchObject({ body: "new" });
    await deploy(first);
    expect(await call(engine.lease(ref))).toMatchObject({ body: "old" });
  });
});
