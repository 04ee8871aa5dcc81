import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { formatApiKey } from "../../src/core/api-key.ts";
import { Remote, type RemoteApp, RemoteError } from "../../src/sdk/index.ts";

// What the SDK says of an app is what the API says: this does not compile when they part.
const asRemoteApp = (app: AppStatus): RemoteApp => app;

const names = ["APPCTL_API_KEY", "APPCTL_ENDPOINT", "APPCTL_PROJECT", "APPCTL_DOMAIN"];
beforeEach(() => {
  for (const name of names) delete process.env[name];
});
afterEach(() => {
  for (const name of names) delete process.env[name];
});

const failure = async (promise: Promise<unknown>): Promise<RemoteError> => {
  const error: unknown = await promise.catch((e: unknown) => e);
  if (!(error instanceof RemoteError)) throw error;
  return error;
};

describe("Remote", () => {
  it("never throws before its first call, and then says what is wrong with the key", async () => {
    expect(asRemoteApp).toBeTypeOf("function");
    const remote = new Remote();
    expect(await failure(remote.apps.list())).toMatchObject({ status: 0, code: "NO_API_KEY" });
    process.env["APPCTL_API_KEY"] = "appctl_torn";
    expect(await failure(remote.apps.list())).toMatchObject({ code: "MALFORMED_API_KEY" });
  });

  it("takes key, address, project and domain from the environment, and the endpoint of the environment before the key's", async () => {
    const requests: Pick<IncomingMessage, "url" | "headers">[] = [];
    const server = createServer((req, res) => {
      requests.push({ url: req.url, headers: req.headers });
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ apps: [{ name: "web" }] }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const key = formatApiKey({ endpoint: "http://unreachable.invalid", secret: randomBytes(32) });
    process.env["APPCTL_API_KEY"] = key;
    process.env["APPCTL_PROJECT"] = "team";
    process.env["APPCTL_ENDPOINT"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await new Remote().apps.list()).toEqual([{ name: "web" }]);
    await new Remote({ project: "p", domain: "d" }).apps.get("a/b");
    expect(requests.map(({ url }) => url)).toEqual([
      "/api/v1/projects/team/domains/development/apps",
      "/api/v1/projects/p/domains/d/apps/a%2Fb",
    ]);
    expect(requests[0]?.headers.authorization).toBe(`Bearer ${key}`);
    server.close();
  });

  it("tells the platform's own words, and when there is no platform", async () => {
    const key = formatApiKey({ endpoint: "http://127.0.0.1:1", secret: randomBytes(32) });
    const answer = (status: number, body: string) => async () => new Response(body, { status });
    const problem = JSON.stringify({ code: "NOT_FOUND", detail: "app web does not exist" });
    expect(await failure(new Remote({ apiKey: key, fetch: answer(404, problem) }).apps.get("web"))).toMatchObject({
      status: 404,
      code: "NOT_FOUND",
      message: "app web does not exist",
    });
    const odd = await failure(new Remote({ apiKey: key, fetch: answer(502, "<html>") }).apps.list());
    expect(odd).toMatchObject({ status: 502, code: "HTTP_ERROR" });
    const away = await failure(new Remote({ apiKey: key }).apps.list());
    expect(away).toMatchObject({ status: 0, code: "UNREACHABLE" });
    expect(`${away.message} ${away.stack}`).not.toContain(key);
  });
});
