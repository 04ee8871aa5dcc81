import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { get, repository, World } from "./harness.ts";

// The guide, typed as it is written: a template's app with its own bearer check, and a platform client inside it.
const key = "correct horse battery staple";
let world: World;
let endpoint: string;
const deploy = ["deploy", "apps", "templates/guide/app.ts", "fastapi-with-auth"];
const fromRepository = { cwd: repository };

beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

describe("the guide", () => {
  it("refuses to deploy before its secrets exist, changes nothing, and says what to type", async () => {
    const result = await world.run(deploy, fromRepository);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe("");
    expect(result.stderr).toContain("appctl create secret --name AUTH_API_KEY");
    expect(result.stderr).toContain("appctl create admin-api-key --name MY_APPCTL_API_KEY");
    expect(await world.json(["get", "apps"])).toEqual({ apps: [] });
  });

  it("creates the secrets", async () => {
    await world.ok(["create", "secret", "--name", "AUTH_API_KEY", "--value-file", "-"], { stdin: key });
    const shown = await world.ok(["create", "admin-api-key", "--name", "MY_APPCTL_API_KEY"]);
    expect(shown.match(/appctl_[\w-]{60,}/g)).toHaveLength(1);
    const { secrets } = await world.json<{ secrets: { name: string; bytes: number }[] }>(["get", "secrets"]);
    expect(secrets.map((secret) => secret.name)).toEqual(["AUTH_API_KEY", "MY_APPCTL_API_KEY"]);
    expect(secrets[0]?.bytes).toBe(key.length);
  });

  it("deploys, with the lines of a first build, in order", async () => {
    const { code, stdout } = await world.run(deploy, fromRepository);
    expect(code).toBe(0);
    const image = `localhost:${world.port}/fastapi-with-auth-image:`;
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(new RegExp(`^Image ${image}[\\w-]{22} not found\\. Building…$`));
    expect(lines.slice(-8, -1)).toEqual([
      "✨ Deploying Application: fastapi-with-auth",
      `🔎 Console URL: http://localhost:${world.port}/console/projects/default/domains/development/apps/fastapi-with-auth`,
      "[Status] Pending: App is pending deployment",
      '[Status] Pending: RevisionMissing: Configuration "fastapi-with-auth" is waiting for a Revision to become ready.',
      "[Status] Pending: IngressNotConfigured: Ingress has not yet been reconciled.",
      "[Status] Pending: Uninitialized: Waiting for load balancer to be ready",
      "[Status] Started: Service is ready",
    ]);
    const last = /^🚀 Deployed Endpoint: (http:\/\/[a-z]+-[a-z]+-[0-9a-f]{5}\.apps\.localhost:(\d+))$/.exec(
      lines.at(-1) ?? "",
    );
    expect(last?.[2]).toBe(String(world.port));
    endpoint = last?.[1] as string;
  });

  it("answers 200 with the key, 401 without, 403 with a wrong one", async () => {
    const right = await get(`${endpoint}/`, { authorization: `Bearer ${key}` });
    expect([right.status, right.body]).toEqual([200, '{"message":"Hello, World!"}']);
    expect(right.headers["appctl-revision"]).toBe("fastapi-with-auth-00001");
    expect((await get(`${endpoint}/`)).status).toBe(401);
    expect((await get(`${endpoint}/`, { authorization: "Bearer wrong" })).status).toBe(403);
  });

  it("lists the apps of its own project from inside, with the key that was stored as a secret", async () => {
    const { status, body } = await get(`${endpoint}/apps`, { authorization: `Bearer ${key}` });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ apps: [{ name: "fastapi-with-auth", status: "Running", endpoint }] });
  });

  it("finds the image at the second deploy, makes no revision and keeps the address", async () => {
    const { code, stdout } = await world.run(deploy, fromRepository);
    expect(code).toBe(0);
    expect(stdout.split("\n")[0]).toMatch(
      /^Image localhost:\d+\/fastapi-with-auth-image:[\w-]{22} found\. Skip building\.$/,
    );
    expect(stdout.split("\n").filter((line) => line.startsWith("[Status]"))).toEqual([
      "[Status] Started: Service is ready",
    ]);
    expect(stdout).toContain(`🚀 Deployed Endpoint: ${endpoint}\n`);
    const app = await world.json<AppStatus>(["get", "apps", "fastapi-with-auth"]);
    expect(app).toMatchObject({
      status: "Running",
      revision: "fastapi-with-auth-00001",
      endpoint,
      requiresAuth: false,
    });
  });

  it("gives a new revision for a new secret, with the old one serving until it is ready", async () => {
    await world.ok(["update", "secret", "AUTH_API_KEY", "--value-file", "-"], { stdin: "another key" });
    expect((await get(`${endpoint}/`, { authorization: `Bearer ${key}` })).status).toBe(200);
    const { stdout } = await world.run(deploy, fromRepository);
    expect(stdout.split("\n").filter((line) => line.startsWith("[Status]"))).toEqual([
      "[Status] Pending: App is pending deployment",
      "[Status] Pending: TrafficNotMigrated: Traffic is not yet migrated to the latest revision.",
      "[Status] Pending: IngressNotConfigured: Ingress has not yet been reconciled.",
      "[Status] Pending: Uninitialized: Waiting for load balancer to be ready",
      "[Status] Started: Service is ready",
    ]);
    expect((await get(`${endpoint}/`, { authorization: "Bearer another key" })).status).toBe(200);
    expect((await get(`${endpoint}/`, { authorization: `Bearer ${key}` })).status).toBe(403);
  });

  it("rolls back to the revision before, with the secret that it was pinned to", async () => {
    await world.ok(["rollback", "fastapi-with-auth"]);
    expect((await get(`${endpoint}/`, { authorization: `Bearer ${key}` })).status).toBe(200);
    expect((await get(`${endpoint}/`, { authorization: "Bearer another key" })).status).toBe(403);
  });

  it("comes back after the platform was stopped, at the same address", async () => {
    await world.ok(["platform", "stop"]);
    await expect(get(`${endpoint}/`)).rejects.toThrow();
    await world.ok(["platform", "start"]);
    await world.ok(["attach", "fastapi-with-auth"]);
    const app = await world.json<AppStatus>(["get", "apps", "fastapi-with-auth"]);
    expect(app.endpoint).toBe(endpoint);
    expect((await get(`${endpoint}/`, { authorization: `Bearer ${key}` })).status).toBe(200);
  });
});
