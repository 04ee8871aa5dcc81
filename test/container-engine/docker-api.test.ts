/** The client of container engines, on servers that answer as engines do and as none should. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { EngineApi, EngineApiError, isConnectionLost } from "../../src/container-engine/docker-api.ts";
import { clientOf } from "../engine/docker/faulty-engine.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

/** A client of a server that answers everything after the first question so. */
async function engineThat(answer: RequestListener): Promise<EngineApi> {
  const server = createServer((req, res) => {
    if (req.url === "/version") res.end('{ "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64" }');
    else answer(req, res);
  });
  return clientOf(server);
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  );

it("says what the engine says, with its status", async () => {
  const api = await engineThat((req, res) => {
    if (req.url === "/v1.41/json") res.writeHead(404).end('{"message":"No such container: web"}');
    if (req.url === "/v1.41/text") res.writeHead(500).end("page not found\n");
    if (req.url === "/v1.41/nothing") res.writeHead(409).end();
    if (req.url === "/v1.41/started") res.writeHead(304).end();
    if (req.url === "/v1.41/empty") res.writeHead(200).end("\n");
  });
  const said = (path: string) => failure(api.json("GET", path));
  expect(await said("/json")).toMatchObject({ name: "EngineApiError", status: 404, message: "No such container: web" });
  expect(await said("/text")).toMatchObject({ status: 500, message: "page not found" });
  expect(await said("/nothing")).toMatchObject({ status: 409, message: "status 409" });
  expect(await api.json("POST", "/started")).toBeUndefined();
  expect(await api.json("POST", "/empty")).toBeUndefined();
});

it("sends what a call carries", async () => {
  const seen: unknown[] = [];
  const api = await engineThat(async (req, res) => {
    let text = "";
    for await (const chunk of req.setEncoding("utf8")) text += chunk;
    seen.push([req.method, decodeURIComponent(req.url ?? ""), req.headers["content-type"], req.headers["x-own"], text]);
    res.end("{}");
  });
  async function* archive() {
    yield Buffer.from("one");
    yield Buffer.from("two");
  }
  await api.json("POST", "/a", { query: { name: "web", filters: { label: ["x"] } }, body: { Image: "base" } });
  expect(await api.upload("/b", archive(), { headers: { "x-own": "1" } })).toBe("{}");
  expect(seen).toEqual([
    ["POST", '/v1.41/a?name=web&filters={"label":["x"]}', "application/json", undefined, '{"Image":"base"}'],
    ["POST", "/v1.41/b", "application/x-tar", "1", "onetwo"],
  ]);
});

it("tells a connection that is lost from what an engine says", async () => {
  const api = await engineThat((req, res) => {
    if (req.url === "/v1.41/cut") res.writeHead(200, { "content-length": "100" }).write('{"');
    setImmediate(() => res.destroy());
  });
  for (const path of ["/reset", "/cut"]) {
    const error = await failure(api.json("GET", path));
    expect([path, isConnectionLost(error), error instanceof EngineApiError]).toEqual([path, true, false]);
  }
  // Of an answer that ends with its connection undici's parser knows what is missing.
  for (const length of ["content-length: 9", "transfer-encoding: chunked"]) {
    const ending = await engineThat((req) => {
      req.socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n${length}\r\n\r\n`);
    });
    expect([length, isConnectionLost(await failure(ending.json("GET", "/cut")))]).toEqual([length, true]);
  }
  const nobody = await failure(EngineApi.connect(join(temporaryDirectory(), "none.sock")));
  expect(nobody).toMatchObject({ code: "ENOENT" });
  expect(isConnectionLost(nobody)).toBe(true);
  expect(isConnectionLost(new EngineApiError(500, "out of order"))).toBe(false);
});

it("tells who reads an answer that it broke off, and fails nobody with one that is not read on", async () => {
  const api = await engineThat((req, res) => {
    if (req.url === "/v1.41/short") return res.end("all of it");
    res.write("line\n".repeat(100_000));
    if (req.url === "/v1.41/broken") setImmediate(() => res.destroy());
  });
  const read = async (answer: AsyncIterable<unknown>) => {
    for await (const _ of answer);
  };
  expect(isConnectionLost(await failure(read(await api.download("/broken"))))).toBe(true);
  for await (const _ of await api.download("/left")) break;
  const lines = createInterface({ input: await api.stream("/lines") });
  await once(lines, "line");
  lines.close();
  (await api.stream("/unwanted")).destroy();
  const short = await api.stream("/short");
  await api.json("GET", "/short").catch(() => {}); // the first has come by then
  short.destroy();
  const unread = await api.stream("/unread");
  api.close();
  await expect.poll(() => unread.destroyed).toBe(true);
  await new Promise((resolve) => setImmediate(resolve)); // an error that nobody takes would end the test run
});

it("waits for a stream as long as it is told, and leaves it to its reader then", async () => {
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const api = await engineThat(async (req, res) => {
    if (req.url === "/v1.41/silent") return asked.resolve();
    res.write("one ");
    await goOn.promise;
    res.end("two");
  });
  const ending = new AbortController();
  const waiting = failure(api.stream("/silent", { signal: ending.signal }));
  const answer = await api.stream("/slow", { signal: ending.signal });
  await asked.promise;
  ending.abort(new Error("no longer waited for"));
  expect(await waiting).toMatchObject({ message: "no longer waited for" });
  expect(await failure(api.stream("/late", { signal: ending.signal }))).toMatchObject({
    message: "no longer waited for",
  });
  goOn.resolve();
  expect(await answer.text()).toBe("one two");
});

it("leaves nothing of an archive that fails, that nobody wants any more, or that the engine refuses", async () => {
  const ending = new AbortController();
  const api = await engineThat((req, res) => {
    if (req.url === "/v1.41/refused") res.writeHead(500).end('{"message":"no space left on device"}');
    else req.resume().once("data", () => ending.abort(new Error("no longer wanted")));
  });
  let open = 0;
  async function* archive(fails = false) {
    open++;
    try {
      for (;;) {
        yield Buffer.alloc(1024);
        if (fails) throw new Error("the file is gone");
      }
    } finally {
      open--;
    }
  }
  expect(await failure(api.upload("/failing", archive(true)))).toMatchObject({ message: "the file is gone" });
  expect(await failure(api.upload("/aborted", archive(), { signal: ending.signal }))).toMatchObject({
    message: "no longer wanted",
  });
  expect(await failure(api.upload("/refused", archive()))).toMatchObject({ message: "no space left on device" });
  await expect.poll(() => open).toBe(0);
});
