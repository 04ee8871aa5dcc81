/** What becomes of the answers of a platform that builds, as they can come from older ones and through proxies. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { BuildProgress } from "../../src/core/events.ts";
import { failureOf } from "../image/support.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A client of a platform that answers like this. */
async function clientOf(answer: (response: ServerResponse) => void): Promise<Client> {
  const server = createServer((request, response) => {
    request.resume();
    request.once("end", () => answer(response));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new Client({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, retries: 0 });
  closers.push(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

const request = { packages: ["hono"] };
const ignore = () => undefined;
const lines = (response: ServerResponse, ...values: unknown[]) => {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  for (const value of values) response.write(`${JSON.stringify(value)}\n`);
  return response;
};

it("progress comes as it happens, in pieces of any size, and empty lines are none", async () => {
  const resolved = { type: "resolved", resolved: { packages: [], lock: {} }, warnings: [], platform: {} };
  const client = await clientOf((response) => {
    lines(response);
    const text = `\n{"type":"progress","step":"resolve","message":"résolving"}\n\n${JSON.stringify(resolved)}\n`;
    for (const byte of Buffer.from(text)) response.write(Buffer.of(byte));
    response.end();
  });
  const seen: BuildProgress[] = [];
  expect(await client.resolvePackages(request, (step) => seen.push(step))).toEqual(resolved);
  expect(seen).toEqual([{ step: "resolve", message: "résolving", by: "platform" }]);
});

it("a failure has the platform's words, faults and exit code", async () => {
  const failed = { code: "PACKAGE_NOT_FOUND", message: "no hono", exit: 7, hint: "h", next: ["n"], details: ["d"] };
  const faults = [{ path: "containerImage.packages[0]", message: "no hono" }];
  const client = await clientOf((response) => lines(response, { type: "failed", ...failed, faults }).end());
  const error = await failureOf(client.resolvePackages(request, ignore));
  expect({ ...error, message: error.message }).toMatchObject({ ...failed, faults });
});

it("an answer that ends without a last line is a failure, not an image", async () => {
  const client = await clientOf((response) =>
    lines(response, { type: "progress", step: "install", message: "x" }).end(),
  );
  const error = await failureOf(client.buildImage({ ...request, name: "x", env: {}, copy: [] }, ignore));
  expect(error).toMatchObject({ code: "BUILD_INTERRUPTED", exit: 6, next: ["appctl platform status"] });
});

it("one that breaks off is asked for again: it comes to the same", async () => {
  let requests = 0;
  const client = await clientOf((response) => {
    const isLast = ++requests === 3;
    lines(response, isLast ? { type: "found", reference: "x:1" } : { type: "progress", step: "install", message: "x" });
    setImmediate(() => response.destroy());
  });
  const build = client.buildImage({ ...request, name: "x", env: {}, copy: [] }, ignore);
  expect([await build, requests]).toEqual([{ type: "found", reference: "x:1" }, 3]);
});

it("but not for ever, and the cause is told", async () => {
  let requests = 0;
  const client = await clientOf((response) => {
    requests++;
    lines(response, { type: "progress", step: "install", message: "x" });
    setImmediate(() => response.destroy());
  });
  const error = await failureOf(client.resolvePackages(request, ignore));
  expect(error).toMatchObject({ code: "PLATFORM_UNREACHABLE", exit: 6, cause: expect.anything() });
  expect(requests).toBe(3);
});

it("a platform that is older says that it builds nothing, and what to do", async () => {
  const client = await clientOf((response) => {
    response.writeHead(404, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ code: "NO_SUCH_ENDPOINT", detail: "POST … is not part of this API", status: 404 }));
  });
  const error = await failureOf(client.resolvePackages(request, ignore));
  expect(error).toMatchObject({ code: "NO_REMOTE_BUILDER", exit: 2 });
  expect(error.message).toContain("is an older appctl that cannot build images");
  expect(error.hint).toContain('remove builder: "remote" from the ImageSpec');
});
