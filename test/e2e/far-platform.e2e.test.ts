import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { get, World } from "./harness.ts";

// As from another machine: with a key, and over connections that fail.
describe("a platform at the other end of a bad line", () => {
  let world: World;
  let proxy: FaultProxy;
  beforeAll(async () => {
    world = await World.create();
    await world.ok(["platform", "start"]);
    proxy = await faultProxy(world.port);
  });
  afterAll(async () => {
    await proxy?.close();
    await world?.close();
  });

  it("gets the image, whatever breaks on its way, and each part of it once", async () => {
    const app = world.folder("web", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "web", requiresAuth: false, frameworkApp: { fetch: () => new Response("far") } });`,
    });
    const key = readFileSync(join(world.state, "admin.key"), "utf8").trim();
    let [posts, heads, puts] = [0, 0, 0];
    proxy.fault = ({ method, path }) => {
      if (!path.startsWith("/v2/")) return undefined;
      if (method === "POST" && ++posts <= 3) return posts === 2 ? { cutAnswer: true } : { cutRequest: 30 };
      if (method === "HEAD" && ++heads === 1) return { answer: { status: 503, headers: { "retry-after": "0" } } };
      if (method === "PUT" && ++puts === 1) return { cutAnswer: true };
      return undefined;
    };
    const { endpoint } = await world.json<{ endpoint: string }>(["deploy", "apps", "app.ts"], {
      cwd: app,
      env: { APPCTL_API_KEY: key, APPCTL_ENDPOINT: `http://${proxy.host}` },
    });
    expect((await get(`${endpoint}/`)).body).toBe("far");
    expect([posts > 3, heads > 1, puts > 1]).toEqual([true, true, true]);
    const taken = proxy.seen
      .filter(({ method, status }) => method === "POST" && status === 201)
      .map(({ path }) => /digest=([^&]+)/.exec(path)?.[1]);
    expect(new Set(taken).size).toBe(taken.length);
  });

  it("that refuses the key is told in words, and nothing is deployed", async () => {
    const key = readFileSync(join(world.state, "admin.key"), "utf8").trim();
    const app = world.folder("other", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "other", requiresAuth: false, frameworkApp: { fetch: () => new Response("") } });`,
    });
    proxy.fault = ({ method, path }) =>
      path.startsWith("/v2/") && method === "POST" ? { answer: { status: 401 } } : undefined;
    const { code, stdout } = await world.run(["deploy", "apps", "app.ts", "-o", "json"], {
      cwd: app,
      env: { APPCTL_API_KEY: key, APPCTL_ENDPOINT: `http://${proxy.host}` },
    });
    expect(code).toBe(3);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: "UNAUTHENTICATED",
      hint: expect.stringContaining("API key"),
    });
    expect((await world.run(["get", "apps", "other"])).code).toBe(4);
  });
});
