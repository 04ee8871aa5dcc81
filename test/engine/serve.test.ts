/** The server shim, alone: a process as a container would start it, and as the platform does. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { startTimeOf } from "../../src/core/start-time.ts";
import { fetchApp, temporaryDirectory, until, writeContent } from "./helpers.ts";

interface Shim {
  child: ChildProcess;
  socketPath: string;
  output(): string;
  exit: Promise<[code: number | null, signal: string | null]>;
}

async function startShim(app: string, env: Record<string, string> = {}, listens = true): Promise<Shim> {
  const dir = temporaryDirectory();
  await writeContent(dir, { app });
  const socketPath = join(dir, "s");
  const child = spawn(process.execPath, ["--enable-source-maps", join(dir, "serve.mjs")], {
    cwd: dir,
    env: { PATH: "/usr/bin:/bin", APPCTL_APP: "web", APPCTL_SOCKET: socketPath, APPCTL_CHANNEL: "3", ...env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let text = "";
  for (const pipe of [child.stdout, child.stderr]) {
    pipe?.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
  }
  const exit = once(child, "exit") as Promise<[number | null, string | null]>;
  onTestFinished(() => void child.kill("SIGKILL"));
  if (listens) {
    const [byte] = await Promise.race([
      once(child.stdio[3] as Duplex, "data"),
      exit.then(() => Promise.reject(new Error(`the shim ended: ${text}`))),
    ]);
    expect(byte).toHaveLength(1);
  }
  return { child, socketPath, output: () => text, exit };
}

interface Reply {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

function get(
  where: { socketPath: string } | { port: number },
  path = "/",
  {
    headers = {},
    agent,
    method = "GET",
    body,
  }: { headers?: Record<string, string>; agent?: Agent; method?: string; body?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = request({ ...where, path, headers, method, agent: agent ?? false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    req.on("error", reject);
    req.end(body);
  });
}

const apps: Record<string, string> = {
  hono: `import { Hono } from "hono";
const app = new Hono();
app.get("/", (c) => c.json({ hello: c.req.query("name") ?? "nobody" }));
app.post("/echo", async (c) => c.text((await c.req.text()).toUpperCase()));`,
  elysia: `import { Elysia } from "elysia";
const app = new Elysia()
  .get("/", ({ query }) => ({ hello: query["name"] ?? "nobody" }))
  .post("/echo", async ({ request }) => (await request.text()).toUpperCase(), { parse: "none" });`,
  h3: `import { H3 } from "h3";
const app = new H3();
app.get("/", (event) => ({ hello: event.url.searchParams.get("name") ?? "nobody" }));
app.post("/echo", async (event) => (await event.req.text()).toUpperCase());`,
  express: `import express from "express";
const app = express();
app.get("/", (req, res) => void res.json({ hello: req.query["name"] ?? "nobody" }));
app.post("/echo", express.text({ type: () => true }), (req, res) => void res.send(req.body.toUpperCase()));`,
  fastify: `import Fastify from "fastify";
const app = Fastify();
app.addContentTypeParser("*", { parseAs: "string" }, (req, body, done) => done(null, body));
app.get("/", async (req) => ({ hello: (req.query as Record<string, string>)["name"] ?? "nobody" }));
app.post("/echo", async (req) => String(req.body).toUpperCase());`,
  "a plain listener": `import type { IncomingMessage, ServerResponse } from "node:http";
const app = async (req: IncomingMessage, res: ServerResponse) => {
  const url = new URL(req.url ?? "", "http://x");
  if (url.pathname !== "/echo") return void res.setHeader("content-type", "application/json").end(JSON.stringify({ hello: url.searchParams.get("name") ?? "nobody" }));
  let text = "";
  for await (const part of req) text += part;
  res.end(text.toUpperCase());
};`,
};

describe("a frameworkApp", () => {
  for (const [name, source] of Object.entries(apps)) {
    it(`made with ${name} is served`, async () => {
      const shim = await startShim(
        `import { App } from "appctl";\n${source}\nexport const web = new App({ name: "web", frameworkApp: app });`,
        { APPCTL_REPLICA_TOKEN: "t0ken" },
      );
      const headers = { "appctl-replica-token": "t0ken" };
      const hello = await get(shim, "/?name=me", { headers });
      expect({ status: hello.status, body: JSON.parse(hello.body) }).toEqual({ status: 200, body: { hello: "me" } });
      const echo = { method: "POST", body: "text", headers: { ...headers, "content-type": "text/plain" } };
      expect(await get(shim, "/echo", echo)).toMatchObject({ status: 200, body: "TEXT" });
      expect((await get(shim, "/nowhere-else", { headers })).status).toBe(name === "a plain listener" ? 200 : 404);
      shim.child.kill("SIGTERM");
      expect(await shim.exit).toEqual([0, null]);
      expect(shim.output()).toBe("");
    });
  }

  it("made with Fastify gets its upgrades and its onClose hooks", async () => {
    const shim = await startShim(
      `import Fastify from "fastify";
import { WebSocketServer } from "ws";
import { App } from "appctl";
const app = Fastify();
new WebSocketServer({ server: app.server }).on("connection", (socket, req) => socket.on("message", (data) => socket.send(data + " " + req.headers["appctl-replica-token"])));
app.addHook("onClose", async () => console.log("closed"));
export default new App({ name: "web", frameworkApp: app });`,
      { APPCTL_REPLICA_TOKEN: "t0ken" },
    );
    const open = (token: string) =>
      new WebSocket(`ws+unix://${shim.socketPath}:/chat`, { headers: { "appctl-replica-token": token } });
    const socket = open("t0ken");
    await once(socket, "open");
    socket.send("hello");
    expect(String((await once(socket, "message"))[0])).toBe("hello undefined");

    const [refused] = await once(open("wrong"), "error");
    expect(String(refused)).toContain("403");

    shim.child.kill("SIGTERM");
    expect(await shim.exit).toEqual([0, null]);
    expect(shim.output()).toBe("closed\n");
  });

  it("streams both ways", async () => {
    const shim = await startShim(fetchApp("return new Response(request.body);"));
    const req = request({ socketPath: shim.socketPath, method: "POST", headers: { "transfer-encoding": "chunked" } });
    req.write("first");
    const [response] = (await once(req, "response")) as [IncomingMessage];
    expect(String((await once(response, "data"))[0])).toBe("first");
    req.end("second");
    expect(String((await once(response, "data"))[0])).toBe("second");
  });
});

describe("the token", () => {
  const showToken = fetchApp(
    'return Response.json({ header: request.headers.get("appctl-replica-token"), other: request.headers.get("x-other"), env: process.env["APPCTL_REPLICA_TOKEN"] ?? null, socket: process.env["APPCTL_SOCKET"] ?? null });',
  );

  it("is demanded, and the app never sees it", async () => {
    const shim = await startShim(showToken, { APPCTL_REPLICA_TOKEN: "t0ken" });
    const agent = new Agent({ keepAlive: true });
    for (const headers of [
      {},
      { "appctl-replica-token": "" },
      { "appctl-replica-token": "t0keN" },
      { "appctl-replica-token": "t0ken2" },
    ]) {
      const refused = await get(shim, "/", { headers: headers as Record<string, string>, agent });
      expect(refused).toMatchObject({ status: 403, body: "", headers: { connection: "close" } });
    }
    agent.destroy();
    const { body } = await get(shim, "/", { headers: { "Appctl-Replica-Token": "t0ken", "x-other": "kept" } });
    expect(JSON.parse(body)).toEqual({ header: null, other: "kept", env: null, socket: null });
  });

  it("is in none of the places where Node shows headers", async () => {
    const app = `import { App } from "appctl";
export default new App({ name: "web", frameworkApp: (req: any, res: any) => res.end(JSON.stringify([req.headersDistinct, req.headers, req.rawHeaders])) });`;
    const shim = await startShim(app, { APPCTL_REPLICA_TOKEN: "t0ken" });
    const headers = { "appctl-replica-token": "t0ken", "x-other": "kept" };
    const { body } = await get(shim, "/", { headers });
    expect(body).not.toContain("t0ken");
    expect(JSON.parse(body)[0]).toMatchObject({ "x-other": ["kept"] });
    expect(JSON.parse(body)[1]).toMatchObject({ "x-other": "kept" });
  });

  it("is not demanded where none was given", async () => {
    const shim = await startShim(showToken);
    expect((await get(shim)).status).toBe(200);
  });
});

describe("the end of the shim", () => {
  it("finishes running requests, closes idle connections, takes no new ones, exits 0", async () => {
    const shim = await startShim(
      fetchApp(
        'if (request.url.endsWith("/slow")) { console.log("working"); await new Promise((resolve) => process.once("SIGUSR2", resolve)); } return new Response("done");',
      ),
    );
    const agent = new Agent({ keepAlive: true });
    await get(shim, "/", { agent });
    const idle = Object.values(agent.freeSockets)[0]?.[0];
    const idleEnded = once(idle as NonNullable<typeof idle>, "close");
    const slow = get(shim, "/slow", { agent: new Agent({ keepAlive: true }) });
    await until(() => shim.output().includes("working"));
    shim.child.kill("SIGTERM");
    await idleEnded;
    await expect(get(shim)).rejects.toThrow(/ECONNREFUSED|ECONNRESET|ENOENT/);
    expect(shim.child.exitCode).toBeNull();
    shim.child.kill("SIGUSR2");
    expect(await slow).toMatchObject({ status: 200, body: "done", headers: { connection: "close" } });
    expect(await shim.exit).toEqual([0, null]);
  });

  it("comes when the platform is gone", async () => {
    const dir = temporaryDirectory();
    await writeContent(dir, { app: fetchApp('return new Response("up");', "setInterval(() => {}, 1000);") });
    const script = `
const child = require("node:child_process").spawn(process.execPath, ["serve.mjs"], { detached: true, stdio: ["ignore", "ignore", "inherit", "pipe"], env: { APPCTL_APP: "web", APPCTL_SOCKET: "s", APPCTL_CHANNEL: "3" } });
child.stdio[3].once("data", () => console.log(child.pid));`;
    const platform = spawn(process.execPath, ["-e", script], { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
    const pid = Number(String((await once(platform.stdout, "data"))[0]));
    expect(startTimeOf(pid)).toBeTypeOf("number");
    platform.kill("SIGKILL");
    await until(() => startTimeOf(pid) === undefined);
  });

  it("is not brought about by an app that speaks to a process manager", async () => {
    const shim = await startShim(
      fetchApp('return new Response("up");', 'process.send?.("ready"); process.disconnect?.();'),
    );
    await until(() => existsSync(shim.socketPath));
    await new Promise((resolve) => setTimeout(resolve, 600)); // longer than it takes to notice a dead platform
    expect(await get(shim)).toMatchObject({ body: "up" });
  });
});

describe("in a container", () => {
  it("listens on HOST and PORT, without a channel, and serves the only App there is", async () => {
    const dir = temporaryDirectory();
    await writeContent(dir, { app: fetchApp('return new Response("contained");') });
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as { port: number };
    free.close();
    const child = spawn(process.execPath, [join(dir, "serve.mjs")], {
      env: { HOST: "127.0.0.1", PORT: String(port) },
      stdio: "inherit",
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    for (;;) {
      const socket = connect(port, "127.0.0.1");
      const open = await Promise.race([
        once(socket, "connect").then(
          () => true,
          () => false,
        ),
        once(socket, "close").then(() => false),
      ]);
      socket.destroy();
      if (open) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await get({ port })).toMatchObject({ status: 200, body: "contained" });
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("has to be told which App to serve when there are several", async () => {
    const dir = temporaryDirectory();
    await writeContent(dir, { app: fetchApp('return new Response("one of them");') });
    await writeFile(join(dir, "app.json"), JSON.stringify({ apps: { web: {}, api: {} } }));
    const child = spawn(process.execPath, [join(dir, "serve.mjs")], { env: {}, stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
    expect(await once(child, "close")).toEqual([79, null]);
    expect(text).toBe("appctl: APPCTL_APP must name the App to serve: web, api\n");
  });

  it("says what the app threw, and exits 1", async () => {
    const shim = await startShim(fetchApp("return new Response();", 'throw new RangeError("bad");'), {}, false);
    expect(await shim.exit).toEqual([1, null]);
    expect(shim.output()).toMatch(/^RangeError: bad\n {4}at .*app\.ts:2:7/);
  });
});
