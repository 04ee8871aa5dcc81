/** A registry that takes connections and says nothing. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterEach, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { uploadBlob } from "../../../src/oci/registry/upload-blob.ts";
import { failureOf } from "../../image/support.ts";
import { fastUndiciClock } from "../../support/clock.ts";
import { pauses, repositoryAt } from "./support.ts";

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** A registry that answers what `answer` is true for after it has answered; gives what it was asked. */
async function silentRegistry(answer: (request: IncomingMessage, response: ServerResponse) => boolean) {
  const asked: string[] = [];
  server = createServer((request, response) => {
    asked.push(`${request.method} ${(request.url ?? "").replace(/^.*web-image\//, "").replace(/[?].*$/, "")}`);
    request.resume();
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  fastUndiciClock(100);
  const { wait } = pauses();
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, repository: repositoryAt(host, { wait, silenceMs: { sending: 20_000, asking: 20_000 } }) };
}

const bytes = Buffer.from("content");
const source = { digest: digestOf(bytes), size: bytes.length, open: () => Readable.from([bytes]) };

it("is asked twice, then told to be silent", async () => {
  const { asked, repository } = await silentRegistry(() => false);
  expect(await failureOf(repository.resolve("1"))).toMatchObject({ code: "REGISTRY_UNREACHABLE", exit: 6 });
  expect(asked).toEqual(["HEAD manifests/1", "HEAD manifests/1"]);
  asked.length = 0;
  expect(await failureOf(repository.manifest("1"))).toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  expect(asked).toEqual(["GET manifests/1", "GET manifests/1"]);
  await repository.close();
});

it("is sent a blob twice", async () => {
  const { asked, repository } = await silentRegistry((request, response) => {
    if (request.method === "POST") response.writeHead(202, { location: "/v2/team/web-image/blobs/uploads/1" }).end();
    else if (request.method === "HEAD") response.writeHead(404).end();
    return true;
  });
  const failure = await failureOf(uploadBlob(repository, source, { chunkSize: 1024 }));
  expect(failure).toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  expect(asked.filter((each) => each.startsWith("PUT"))).toHaveLength(2);
  await repository.close();
});

it("may be silent in the midst of a blob, and once more each time that bytes have come", async () => {
  const half = Buffer.alloc(10, "x");
  let answers = 0;
  const { asked, repository } = await silentRegistry((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { "content-length": 100 - start });
    // With the third answer not a byte comes.
    if (++answers <= 2) response.write(half);
    else response.flushHeaders();
    return true;
  });
  const reading = async () => {
    let size = 0;
    for await (const chunk of repository.blob({ digest: source.digest, size: 100 })) size += chunk.length;
    return size;
  };
  expect(await failureOf(reading())).toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  expect(asked).toHaveLength(3);
  await repository.close();
});
