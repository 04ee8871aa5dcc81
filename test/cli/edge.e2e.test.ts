import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatApiKey } from "../../src/core/api-key.ts";
import { BuiltCli } from "./built-cli.ts";
import { sampleApp } from "./samples.ts";

// The process edge: what reaches a shell. The platform is a stand-in that answers what a test wants.
let cli: BuiltCli;
let server: Server;
let keyEnv: Record<string, string>;
let answer: (path: string) => { status: number; body: unknown } | "silence" = () => ({ status: 200, body: {} });

beforeAll(async () => {
  cli = await BuiltCli.create();
  server = createServer((req, res) => {
    const result = answer(`${req.method} ${req.url}`);
    if (result === "silence") return void server.emit("held");
    const type = result.status < 400 ? "application/json" : "application/problem+json";
    res.writeHead(result.status, { "content-type": type });
    res.end(typeof result.body === "string" ? result.body : JSON.stringify(result.body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const endpoint = `http://platform.localhost:${port}`;
  keyEnv = { APPCTL_API_KEY: formatApiKey({ endpoint, secret: new Uint8Array(32) }) };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  cli.remove();
});

const problem = (status: number, code: string, detail: string) => ({
  status,
  body: { type: "about:blank", title: "x", status, detail, code },
});

describe("the process edge", () => {
  it("answers --version and help on stdout with exit code 0", async () => {
    const version = await cli.run(["--version"]);
    expect([version.code, version.stderr]).toEqual([0, ""]);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const args of [[], ["--help"], ["help"], ["help", "deploy", "apps"], ["deploy", "apps", "-h"]]) {
      const { code, stdout, stderr } = await cli.run(args);
      expect([code, stderr], args.join(" ")).toEqual([0, ""]);
      expect(stdout).toMatch(/^Usage: appctl/);
    }
  });

  it("starts no platform and writes no file for help and wrong usage", async () => {
    await cli.run(["get", "apsp"]);
    await cli.run(["create", "secret"]);
    expect(readdirSync(cli.home)).toEqual([]);
  });

  it("prints wrong usage as text on stderr, with -o json as one JSON object on stdout as well", async () => {
    const text = await cli.run(["depoly", "apps"]);
    expect(text).toMatchObject({ code: 2, stdout: "" });
    expect(text.stderr).toContain('hint: did you mean "deploy"?');
    const json = await cli.run(["depoly", "apps", "-o", "json"]);
    expect(json).toMatchObject({ code: 2, stderr: text.stderr });
    expect(JSON.parse(json.stdout).error).toMatchObject({ code: "USAGE", hint: 'did you mean "deploy"?' });
    const lines = await cli.run(["deploy", "apps", "-o", "ndjson"]);
    expect([lines.code, JSON.parse(lines.stdout)]).toEqual([
      2,
      expect.objectContaining({ v: 1, seq: 1, type: "failed" }),
    ]);
  });

  it("says what a verb takes, on stderr, with exit code 2", async () => {
    const { code, stdout, stderr } = await cli.run(["create"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: appctl create");
    expect(stderr).toContain("secret");
  });

  it("reaches *.localhost whatever the resolver says, and prints what it answered", async () => {
    answer = (path) =>
      path.startsWith("GET /api/v1/projects/p1/domains/d1/apps")
        ? { status: 200, body: { apps: [] } }
        : path === "GET /api/v1/projects"
          ? { status: 200, body: { projects: [{ name: "p1", domains: ["d1"] }] } }
          : "silence";
    const { code, stdout, stderr } = await cli.run(["get", "apps", "--project", "p1", "--domain", "d1"], keyEnv);
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toBe(
      "No apps in project p1, domain d1. To deploy one: appctl deploy apps FILE --project p1 --domain d1\n",
    );
    const before = await cli.run(["--project", "p1", "-o", "json", "get", "--domain", "d1", "apps"], keyEnv);
    expect([before.code, JSON.parse(before.stdout)]).toEqual([0, { apps: [] }]);
  });

  it.each([
    [401, 3],
    [403, 3],
    [404, 4],
    [409, 5],
    [422, 2],
    [503, 6],
    [500, 70],
  ])("an answer of %i is exit code %i, in the platform's own words", async (status, exit) => {
    answer = () => problem(status, "CODE", "what the \x1b[31mplatform said");
    const { code, stdout, stderr } = await cli.run(["get", "apps", "web"], keyEnv);
    expect([code, stdout]).toEqual([exit, ""]);
    expect(stderr).toContain("Error: what the platform said\n");
    const json = await cli.run(["get", "apps", "web", "-o", "json"], keyEnv);
    expect(json.code).toBe(exit);
    expect(JSON.parse(json.stdout).error).toMatchObject({ code: "CODE", exitCode: exit });
  });

  it("is exit code 6 when nobody answers", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as { port: number };
    free.close();
    const key = formatApiKey({ endpoint: `http://localhost:${port}`, secret: new Uint8Array(32) });
    const { code, stderr } = await cli.run(["get", "apps"], { APPCTL_API_KEY: key });
    expect([code, stderr]).toEqual([6, expect.stringContaining("does not answer")]);
  });

  it("is exit code 3 for an endpoint without a key, and starts nothing", async () => {
    const { code, stderr } = await cli.run(["get", "apps"], { APPCTL_ENDPOINT: "https://apps.example.com" });
    expect([code, stderr]).toEqual([3, expect.stringContaining("no API key for https://apps.example.com")]);
    expect(readdirSync(cli.home)).toEqual([]);
  });

  it("is exit code 70 for what it did not expect, with the stack to report", async () => {
    answer = () => ({ status: 200, body: { apps: [null] } });
    const { code, stderr } = await cli.run(["get", "apps"], keyEnv);
    expect([code, stderr]).toEqual([70, expect.stringMatching(/bug in appctl/)]);
    expect(stderr).toMatch(/\n {6}at /);
  });

  it.each([
    ["SIGINT", 130, "Interrupted."],
    ["SIGTERM", 143, "Terminated."],
  ] as const)("%s in the middle of a request is exit code %i", async (signal, exit, text) => {
    answer = () => "silence";
    const held = once(server, "held");
    const child = cli.start(["get", "apps"], keyEnv);
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    await held;
    child.kill(signal);
    const [code] = await once(child, "close");
    expect([code, stderr]).toEqual([exit, `${text}\n`]);
  });

  it("ends quietly when nobody reads its output any more", async () => {
    const apps = Array.from({ length: 5000 }, (_, i) => ({ ...sampleApp, name: `app-${i}` }));
    answer = () => ({ status: 200, body: { apps } });
    const child = spawn("bash", ["-o", "pipefail", "-c", `"${process.execPath}" "${cli.bin}" get apps | head -n 1`], {
      env: cli.env(keyEnv),
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(await output(child)).toEqual({ code: 0, signal: null, text: expect.stringMatching(/^NAME .*ENDPOINT\n$/) });
  });
});

async function output(child: ChildProcessByStdio<null, Readable, Readable>) {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  const [code, signal] = await once(child, "close");
  return { code, signal, text };
}

describe("bin/appctl.js", () => {
  const sandbox = mkdtempSync(join(tmpdir(), "appctl-bin-"));
  afterAll(() => rmSync(sandbox, { recursive: true, force: true }));

  /** The launcher alone, with its idea of Node's version changed: old Nodes are not installed everywhere. */
  function launch(version: string, setUp: (root: string) => void = () => undefined) {
    const root = mkdtempSync(join(sandbox, "root-"));
    cpSync(join(cli.root, "bin"), join(root, "bin"), { recursive: true });
    writeFileSync(join(root, "package.json"), '{"type":"module"}');
    const old = join(root, "old.mjs");
    writeFileSync(old, `Object.defineProperty(process.versions, "node", { value: "${version}" });`);
    setUp(root);
    return spawn(process.execPath, ["--import", old, join(root, "bin", "appctl.js"), "one", "two words"], {
      env: cli.env(),
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  function ownNode(root: string, script: string): void {
    const bin = join(root, "node_modules", "node", "bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "node"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, "node"), 0o755);
  }

  it("says what it needs when Node is too old, and when it is not built", async () => {
    for (const version of ["20.20.2", "22.18.0", "12.0.0"]) {
      const { code, text } = await output(launch(version));
      expect([code, text]).toEqual([2, expect.stringContaining(`22.19 or newer; this is ${version}`)]);
    }
    const { code, text } = await output(launch("22.19.0"));
    expect([code, text]).toEqual([2, expect.stringContaining("npm run build")]);
  });

  it("hands over to the Node of its own package: arguments, output, exit code", async () => {
    const { code, text } = await output(launch("20.20.2", (root) => ownNode(root, 'shift; echo "got:$1:$2"; exit 5')));
    expect([code, text]).toEqual([5, "got:one:two words\n"]);
  });

  it("never ends with 0 for a child that was killed", async () => {
    const { code } = await output(launch("20.20.2", (root) => ownNode(root, "kill -KILL $$")));
    expect(code).toBe(137);
  });

  it("passes SIGTERM and SIGINT on to the child, and waits for it", async () => {
    for (const [signal, exit] of [
      ["SIGTERM", 43],
      ["SIGINT", 42],
    ] as const) {
      const script = 'trap "exit 43" TERM; trap "exit 42" INT; echo ready; while :; do sleep 0.05; done';
      const child = launch("20.20.2", (root) => ownNode(root, script));
      await once(child.stdout, "data");
      child.kill(signal);
      const [code] = await once(child, "exit");
      expect(code, signal).toBe(exit);
    }
  });
});
