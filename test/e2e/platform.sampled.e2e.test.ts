import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, PlatformStatus } from "../../src/contract/types.ts";
import { itLong } from "../support/amount.ts";
import { get, World } from "./harness.ts";

let world: World;
let adminKey: string;
const base = () => `http://localhost:${world.port}`;
const api = (path: string, headers: Record<string, string> = {}, method = "GET", body?: string) =>
  get(`${base()}/api/v1${path}`, headers, method, body);
const bearer = () => ({ authorization: `Bearer ${adminKey}` });

beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

describe("the local platform", () => {
  it("is not started by asking about it", async () => {
    const status = await world.run(["platform", "status"]);
    expect([status.code, status.stderr]).toEqual([6, expect.stringContaining("appctl platform start")]);
    expect((await world.run(["platform", "stop"])).code).toBe(0);
    await expect(get(`${base()}/api/v1/health`)).rejects.toThrow("ECONNREFUSED");
  });

  it("is started once by several commands at once, and goes on after they have ended", async () => {
    const results = await Promise.all(Array.from({ length: 4 }, () => world.run(["get", "apps"])));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(results.filter(({ stderr }) => stderr.includes("Started the local platform"))).toHaveLength(1);
    const first = await world.json<PlatformStatus>(["platform", "status"]);
    const second = await world.json<PlatformStatus>(["platform", "status"]);
    expect(second.pid).toBe(first.pid);
    expect(first).toMatchObject({
      url: base(),
      engine: "local",
      runtime: "process",
      stateDirectory: world.state,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    adminKey = readFileSync(join(world.state, "admin.key"), "utf8").trim();
  });

  it("keeps its state to its user", () => {
    expect(statSync(world.state).mode & 0o777).toBe(0o700);
    for (const file of ["admin.key", "master.key", "platform.json", "platform.log"]) {
      expect(statSync(join(world.state, file)).mode & 0o777, file).toBe(0o600);
    }
  });

  it("asks for a key everywhere but at health and at its own description", async () => {
    for (const path of ["/health", "/openapi.json"]) expect((await api(path)).status).toBe(200);
    for (const path of ["/platform", "/api-keys", "/projects/default/domains/development/apps"]) {
      const { status, headers, body } = await api(path);
      expect([path, status, headers["content-type"]]).toEqual([path, 401, "application/problem+json"]);
      expect(headers["www-authenticate"]).toContain("Bearer");
      expect(JSON.parse(body)).toMatchObject({ status: 401, code: "UNAUTHENTICATED" });
    }
    expect((await api("/platform", bearer())).status).toBe(200);
    expect((await api("/platform", { authorization: `Bearer ${adminKey.slice(0, -2)}xx` })).status).toBe(401);
  });

  it("cannot be driven by a web page on the same machine", async () => {
    const foreign = await api("/platform", { ...bearer(), origin: "http://evil.example" });
    expect([foreign.status, JSON.parse(foreign.body).code]).toEqual([403, "FOREIGN_ORIGIN"]);
    const rebound = await api("/platform", { ...bearer(), host: `evil.example:${world.port}` });
    expect([rebound.status, JSON.parse(rebound.body).code]).toEqual([421, "UNKNOWN_HOST"]);
    const form = await api("/api-keys", { ...bearer(), "content-type": "text/plain" }, "POST", "{}");
    expect(form.status).toBe(415);
  });

  it("describes itself: every path of the document answers with a status that it has, and every reference leads to a schema", async () => {
    const document = JSON.parse((await api("/openapi.json")).body);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref = ""]) => ref);
    expect(references.length).toBeGreaterThan(60);
    for (const ref of references) {
      const target = ref
        .slice(2)
        .split("/")
        .reduce((value, key) => value?.[key], document);
      expect(target, ref).toBeTypeOf("object");
    }
    const { put } = document.paths["/api/v1/projects/{project}/domains/{domain}/apps/{name}"];
    expect(put.parameters).toContainEqual(expect.objectContaining({ name: "Idempotency-Key", in: "header" }));
    const { properties } = document.components.schemas.AppSpec;
    expect(properties.port).toMatchObject({ type: "integer", minimum: 1, maximum: 65_535, default: 8080 });
    expect(properties.secrets.items.required).toEqual(["key", "envVar"]);
    expect(document.openapi).toBe("3.1.0");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => ({ path, method: method.toUpperCase() })),
    );
    expect(operations.length).toBeGreaterThan(25);
    for (const { path, method } of operations) {
      if (path.endsWith("/platform/stop")) continue;
      const filled = path.replace(/\{(\w+)\}/g, (_, key) => (key === "digest" ? `sha256:${"0".repeat(64)}` : "none"));
      const { status, body } = await get(
        `${base()}${filled}`,
        { ...bearer(), "content-type": "application/json" },
        method,
        method === "GET" || method === "DELETE" ? undefined : "{}",
      );
      expect(status, `${method} ${path}: ${body}`).toBeLessThan(500);
      const { responses } = document.paths[path][method.toLowerCase()];
      expect(Object.keys(responses), `${method} ${path}: ${body}`).toContain(String(status));
      expect(JSON.parse(body).code, `${method} ${path}`).not.toBe("NO_SUCH_ENDPOINT");
    }
  });

  it("tells every fault of a bad request at once, and limits bodies", async () => {
    const path = "/projects/default/domains/development/apps/web/check";
    const json = { ...bearer(), "content-type": "application/json" };
    const bad = await api(path, json, "POST", JSON.stringify({ spec: { name: "Not OK", port: 0, extra: 1 } }));
    const problem = JSON.parse(bad.body);
    expect(bad.status).toBe(422);
    const paths = problem.faults.map((fault: { path: string }) => fault.path);
    expect(paths.sort()).toEqual(["spec.extra", "spec.kind", "spec.name", "spec.port"]);
    expect((await api(path, json, "POST", "{")).status).toBe(400);
    expect((await api(path, json, "POST", `"${"x".repeat(5 << 20)}"`)).status).toBe(413);
  });

  it("does not take another program on its port for itself, and says what to do", async () => {
    const other = await World.create();
    const stranger = createServer((_, res) => res.end("not appctl")).listen(other.port, "127.0.0.1");
    await once(stranger, "listening");
    const { code, stderr } = await other.run(["get", "apps"]);
    expect(code).toBe(6);
    expect(stderr).toContain(`port ${other.port} is taken`);
    expect(stderr).toContain("APPCTL_PORT");
    stranger.close();
    await other.close();
  });

  it("stops gracefully and comes back as it was, also after SIGKILL", async () => {
    const dir = world.folder("web", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response(String(process.pid)) } });`,
    });
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", "web", "-o", "url"], { cwd: dir })).trim();
    const first = (await get(`${endpoint}/`)).body;
    const { pid } = await world.json<PlatformStatus>(["platform", "status"]);
    process.kill(pid, "SIGKILL");
    await world.ok(["attach", "web"]);
    const restarted = await world.json<PlatformStatus>(["platform", "status"]);
    expect(restarted.pid).not.toBe(pid);
    const deadline = Date.now() + 60_000;
    let app = await world.json<AppStatus>(["get", "apps", "web"]);
    while (app.status !== "Running" && Date.now() < deadline) app = await world.json<AppStatus>(["get", "apps", "web"]);
    expect(app).toMatchObject({ status: "Running", endpoint, revision: "web-00001" });
    // The app went on: it is the supervisor's.
    expect((await get(`${endpoint}/`)).body).toBe(first);
    expect((await world.ok(["platform", "logs"])).length).toBeGreaterThan(0);
    await world.ok(["platform", "stop"]);
    await expect(get(`${endpoint}/`)).rejects.toThrow();
  });

  itLong("comes back where it was, whichever command brings it back, until it is told to be elsewhere", async () => {
    const dir = world.folder("placed", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "placed", requiresAuth: false, frameworkApp: { fetch: () => new Response("placed") } });`,
    });
    const place = [
      "--host",
      "0.0.0.0",
      "--base-domain",
      "apps.example.test",
      "--url",
      `http://deploy.example.test:${world.port}`,
    ];
    await world.ok(["platform", "start", ...place]);
    await world.ok(["deploy", "apps", "app.ts", "placed"], { cwd: dir });
    const { endpoint } = await world.json<AppStatus>(["get", "apps", "placed"]);
    expect(new URL(endpoint).host).toMatch(/\.apps\.example\.test:\d+$/);
    const { pid, url } = await world.json<PlatformStatus>(["platform", "status"]);
    expect(url).toBe(place.at(-1));
    process.kill(pid, "SIGKILL");
    expect(await world.json<AppStatus>(["get", "apps", "placed"])).toMatchObject({ endpoint });
    const again = await world.json<PlatformStatus>(["platform", "status"]);
    expect([again.url, again.pid === pid]).toEqual([url, false]);
    expect(await world.ok(["platform", "logs", "--tail", "20"])).toContain(
      `listens on 0.0.0.0:${world.port}, pid ${again.pid}`,
    );
    await world.ok(["platform", "stop"]);
    // What is said takes the place of what was; the rest stays.
    await world.ok(["platform", "start", "--base-domain", "apps.localhost", "--host", "127.0.0.1"]);
    const moved = await world.json<AppStatus>(["get", "apps", "placed"]);
    expect(new URL(moved.endpoint).host).toMatch(/\.apps\.localhost:\d+$/);
    expect((await world.json<PlatformStatus>(["platform", "status"])).url).toBe(url);
    await world.ok(["platform", "stop"]);
    await world.ok(["platform", "start", "--url", `http://localhost:${world.port}`]);
    await world.ok(["delete", "apps", "placed", "--yes"]);
    await world.ok(["platform", "stop"]);
  });

  it("says so when its runtime is unknown, or has no engine to reach", async () => {
    const start = (runtime: string, host: string) =>
      world.run(["platform", "start", "--runtime", runtime], { env: { DOCKER_HOST: host } });
    const unknown = await start("lxc", "");
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("process or docker")]);
    const away = await start("docker", `unix://${join(world.home, "none.sock")}`);
    expect([away.code, away.stderr]).toEqual([
      6,
      expect.stringMatching(/none\.sock \(ENOENT\)[\s\S]*--runtime process/),
    ]);
    const elsewhere = await start("docker", "tcp://192.0.2.1:2375");
    expect([elsewhere.code, elsewhere.stderr]).toEqual([2, expect.stringContaining("DOCKER_HOST names tcp://")]);
    expect((await world.run(["platform", "status"])).code).toBe(6);
  });

  it("says so when the state directory cannot be written", async () => {
    const file = join(world.home, "not-a-directory");
    writeFileSync(file, "");
    const { code, stderr } = await world.run(["get", "apps"], { env: { XDG_STATE_HOME: file } });
    expect([code, stderr]).toEqual([6, expect.stringContaining(`${file} is not a folder`)]);
  });
});
