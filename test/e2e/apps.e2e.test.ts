import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus, LogLine } from "../../src/contract/types.ts";
import { get, World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

/** Writes an app that answers with `text`; returns its folder. */
function app(name: string, text: string, more = "", options = ""): string {
  return world.folder(`${name}-${text}`, {
    "app.ts": `import { App } from "appctl";
      ${more}
      export default new App({ name: "${name}", requiresAuth: false, ${options}
        frameworkApp: { fetch: () => new Response("${text}") } });`,
  });
}
const deploy = (name: string, cwd: string) => world.run(["deploy", "apps", "app.ts", name, "-o", "json"], { cwd });
const url = async (name: string) => (await world.json<AppStatus>(["get", "apps", name])).endpoint;

describe("apps", () => {
  it("are updated without one failed request", async () => {
    expect((await deploy("load", app("load", "v0"))).code).toBe(0);
    const endpoint = await url("load");
    const seen = new Map<string, number>();
    let going = true;
    const client = async () => {
      while (going) {
        const { status, body } = await get(`${endpoint}/`).catch((error: Error) => ({
          status: 0,
          body: error.message,
        }));
        const what = status === 200 ? body : `${status} ${body}`;
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
    };
    const clients = [client(), client(), client(), client()];
    for (const version of ["v1", "v2", "v3"]) expect((await deploy("load", app("load", version))).code).toBe(0);
    going = false;
    await Promise.all(clients);
    expect([...seen.keys()].sort()).toEqual(["v0", "v1", "v2", "v3"].filter((version) => seen.has(version)));
    expect(seen.has("v3") || (await get(`${endpoint}/`)).body === "v3").toBe(true);
  });

  it("are put in order when deployed several times at once; the same at once is one revision", async () => {
    const same = app("order", "same");
    const results = await Promise.all([deploy("order", same), deploy("order", same), deploy("order", same)]);
    const revisions = results.map(({ code, stdout }) => [code, JSON.parse(stdout).revision]);
    expect(revisions).toEqual([
      [0, "order-00001"],
      [0, "order-00001"],
      [0, "order-00001"],
    ]);
    const both = await Promise.all([deploy("order", app("order", "a")), deploy("order", app("order", "b"))]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    const names = both.map(({ stdout }) => JSON.parse(stdout).revision as string);
    expect([...names].sort()).toEqual(["order-00002", "order-00003"]);
    const last = both[names.indexOf("order-00003")];
    expect((await get(`${await url("order")}/`)).body).toBe(last === both[0] ? "a" : "b");
    // An app that is deployed with what an earlier revision had gets that revision again.
    expect(JSON.parse((await deploy("order", same)).stdout).revision).toBe("order-00001");
  });

  it("stop, start, and are deleted", async () => {
    expect((await deploy("cycle", app("cycle", "round"))).code).toBe(0);
    const endpoint = await url("cycle");
    await world.ok(["stop", "apps", "cycle"]);
    expect(await world.json<AppStatus>(["get", "apps", "cycle"])).toMatchObject({ status: "Stopped", replicas: [] });
    const stopped = await get(`${endpoint}/`);
    expect([stopped.status, stopped.headers["appctl-gateway"]]).toEqual([503, "APP_STOPPED"]);
    expect(await world.ok(["start", "apps", "cycle"])).toContain(`🚀 Deployed Endpoint: ${endpoint}`);
    expect((await get(`${endpoint}/`)).body).toBe("round");

    const refused = await world.run(["delete", "apps", "cycle"]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--yes")]);
    // It had no secrets that could stay.
    expect(await world.ok(["delete", "apps", "cycle", "--yes"])).toBe("App cycle is deleted.\n");
    expect((await get(`${endpoint}/`)).status).toBe(404);
    for (const args of [["get", "apps"], ["logs", "apps"], ["stop", "apps"], ["start", "apps"], ["attach"]]) {
      expect((await world.run([...args, "cycle"])).code, args.join(" ")).toBe(4);
    }
  });

  it("have logs: all, the last, those since, and as they come", async () => {
    const dir = app(
      "chatty",
      "ok",
      `if (process.env.K_SERVICE) { for (let i = 1; i <= 30; i++) console.log("line", i); console.error("\\x1b[31mred\\x1b[0m"); }
      setInterval(() => console.log("tick"), 50);`,
    );
    expect((await deploy("chatty", dir)).code).toBe(0);
    const all = (await world.ok(["logs", "apps", "chatty", "-o", "ndjson"]))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as LogLine);
    expect(all[0]).toMatchObject({ line: "line 1", stream: "stdout", revision: "chatty-00001" });
    expect(all.find(({ stream }) => stream === "stderr")?.line).toBe("\x1b[31mred\x1b[0m");
    const text = await world.ok(["logs", "apps", "chatty"]);
    expect(text).toContain("line 30");
    expect(text).not.toContain("\x1b");
    const tail = (await world.ok(["logs", "apps", "chatty", "--tail", "2"])).trim().split("\n");
    expect(tail).toHaveLength(2);
    expect(await world.ok(["logs", "apps", "chatty", "--since", "1h"])).toContain("line 1");

    const following = world.start(["logs", "apps", "chatty", "-f", "--tail", "0"]);
    await following.until(/tick[\s\S]*tick/);
    expect(following.stdout).not.toContain("line 1");
    following.process.kill("SIGINT");
    expect((await following.result).code).toBe(130);
  });

  it("that crash after they were live are restarted, and the crash is told", async () => {
    const dir = app("fragile", "ok", "", "").concat("");
    world.folder("fragile-ok", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "fragile", requiresAuth: false,
          frameworkApp: { fetch: (request: Request) => {
            if (request.url.endsWith("/die")) setTimeout(() => process.exit(7), 10);
            return new Response(String(process.pid)); } } });`,
    });
    expect((await deploy("fragile", dir)).code).toBe(0);
    const endpoint = await url("fragile");
    const first = (await get(`${endpoint}/die`)).body;
    let now = { status: 200, body: first };
    const deadline = Date.now() + 60_000;
    while ((now.body === first || now.status !== 200) && Date.now() < deadline) {
      now = await get(`${endpoint}/`).catch(() => ({ status: 0, body: first }));
    }
    expect(now.body).not.toBe(first);
    const { status, replicas } = await world.json<AppStatus>(["get", "apps", "fragile"]);
    expect(status).toBe("Running");
    expect(replicas).toEqual([expect.objectContaining({ restarts: 1, lastExit: expect.stringContaining("7") })]);
    expect(await world.ok(["get", "apps"])).toMatch(/fragile\s+Running/);
  });

  it("are private unless they say otherwise: the gateway asks, and the app never sees the request", async () => {
    const dir = world.folder("private", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "private", frameworkApp: { fetch: (request: Request) => {
          console.log("saw", new URL(request.url).pathname, request.headers.get("authorization"));
          return new Response("inside"); } } });`,
    });
    expect((await deploy("private", dir)).code).toBe(0);
    const endpoint = await url("private");
    const refused = await get(`${endpoint}/refused`);
    expect([refused.status, refused.headers["www-authenticate"]]).toEqual([401, expect.stringContaining("Bearer")]);
    expect(refused.headers["appctl-revision"]).toBeUndefined();
    const { key } = await world.json<{ key: string }>([
      "create",
      "api-key",
      "admin",
      "--name",
      "CALLER",
      "--no-secret",
    ]);
    const allowed = await get(`${endpoint}/allowed`, { authorization: `Bearer ${key}` });
    expect([allowed.status, allowed.body, allowed.headers["appctl-revision"]]).toEqual([
      200,
      "inside",
      "private-00001",
    ]);
    const deleted = "API key CALLER is deleted. The platform refuses requests with it.\n";
    expect(await world.ok(["delete", "api-key", "CALLER"])).toBe(deleted);
    expect((await get(`${endpoint}/revoked`, { authorization: `Bearer ${key}` })).status).toBe(401);
    const logs = await world.ok(["logs", "apps", "private"]);
    expect(logs).toContain("saw /allowed null");
    expect(logs).not.toMatch(/refused|revoked/);
  });

  it("refuses what the engine does not honour, each field by name, before anything is built", async () => {
    const dir = world.folder("fields", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "fields", frameworkApp: { fetch: () => new Response("") },
          accelerator: "T4", maxReplicas: 3, customDomain: "example.com", requests: { cpu: "1" } });`,
    });
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "app.ts", "fields"], { cwd: dir });
    expect([code, stdout]).toEqual([2, ""]);
    for (const field of ["accelerator", "maxReplicas", "customDomain", "requests"]) expect(stderr).toContain(field);
    expect((await world.run(["get", "apps", "fields"])).code).toBe(4);
  });

  it("keep what they print apart from the environment of the platform", async () => {
    const dir = world.folder("env", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "env", requiresAuth: false, env: { MINE: "yes" }, subdomain: "chosen",
          frameworkApp: { fetch: () => Response.json(process.env) } });`,
    });
    const result = await world.run(["deploy", "apps", "app.ts", "env"], {
      cwd: dir,
      env: { LEAK: "secret", APPCTL_PROJECT: "team" },
    });
    expect(result.code, result.stderr).toBe(0);
    const { body } = await get(`http://chosen.apps.localhost:${world.port}/`);
    const env = JSON.parse(body) as Record<string, string>;
    expect(env).toMatchObject({
      MINE: "yes",
      K_SERVICE: "env",
      K_CONFIGURATION: "env",
      K_REVISION: "env-00001",
      APPCTL_APP: "env",
      APPCTL_REVISION: "env-00001",
      APPCTL_PROJECT: "team",
      APPCTL_DOMAIN: "development",
      APPCTL_ENDPOINT_PATTERN: `http://{subdomain}.apps.localhost:${world.port}`,
      PORT: expect.stringMatching(/^\d+$/),
    });
    expect(env["LEAK"]).toBeUndefined();
    expect(env["APPCTL_REPLICA_TOKEN"]).toBeUndefined();
    const { PATH: _, ...rest } = env; // the packages' own programs are on it
    expect(JSON.stringify(rest)).not.toContain(world.home);
  });
});
