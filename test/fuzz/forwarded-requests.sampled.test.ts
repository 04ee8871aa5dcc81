import { createServer, type Server } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawClient } from "../gateway/harness.ts";
import { type BeforeReplica, startBefore } from "./before-replica.ts";
import { expectShare, piecesOf, runs, Tally } from "./support.ts";

/** A request, as it ought to reach the replica: target, end-to-end fields in order, body and trailers, all latin1. */
interface Sent {
  method: string;
  target: string;
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
}

const tally = new Tally();
let replica: Server;
let before: BeforeReplica;
let seen: Sent[] = [];
beforeAll(async () => {
  // The replica is Node's own server: what it takes a request for is what an app takes it for.
  replica = createServer((req, res) => {
    let body = "";
    req.on("data", (bytes: Buffer) => {
      body += bytes.toString("latin1");
    });
    req.on("end", () => {
      seen.push({
        method: req.method ?? "",
        target: req.url ?? "",
        fields: mine(req.rawHeaders),
        body,
        trailers: mine(req.rawTrailers),
      });
      res.end("answer");
    });
  });
  before = await startBefore(replica);
});
afterAll(async () => {
  await before.test.close();
  replica.closeAllConnections();
  replica.close();
});

const textOf = (sent: Sent) => JSON.stringify(sent);

/** The generated fields of a flat list: all of them begin with `G-`. */
function mine(flat: readonly string[]): [string, string][] {
  const made: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    if (flat[i]?.startsWith("G-")) made.push([flat[i] as string, flat[i + 1] as string]);
  }
  return made;
}

const field = fc.tuple(
  fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,10}$/).map((text) => `G-${text}`),
  fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,12}[\x21-\x7e\x80-\xff])?)?$/),
);
const chunk = fc.uint8Array({ minLength: 1, maxLength: 80 }).map((array) => Buffer.from(array).toString("latin1"));
const target = fc.stringMatching(/^\/[\x21-\x22\x24-\x7e]{0,30}$/);

/** A valid request: what the client writes and what is to arrive. */
const request = fc
  .record({
    method: fc.constantFrom(
      "GET",
      "HEAD",
      "POST",
      "PUT",
      "PATCH",
      "DELETE",
      "OPTIONS",
      "PROPFIND",
      "QUERY",
      "M-SEARCH",
    ),
    target,
    absolute: fc.constantFrom(false, false, false, true),
    fields: fc.array(field, { maxLength: 6 }),
    noise: fc.constantFrom(
      ...[
        "",
        "",
        "Connection: keep-alive\r\n",
        "Keep-Alive: timeout=5\r\n",
        "TE: trailers\r\n",
        "X-Forwarded-For: 1.2.3.4\r\n",
      ],
      ...[
        "Upgrade: h2c\r\nConnection: upgrade\r\n",
        "Proxy-Connection: x\r\n",
        "Forwarded: for=1\r\n",
        "appctl-probe: x\r\n",
      ],
    ),
    framing: fc.constantFrom("none", "length", "chunked"),
    chunks: fc.array(chunk, { maxLength: 4 }),
    extension: fc.constantFrom("", "", ";a", ';a="b"'),
    trailers: fc.array(field, { maxLength: 2 }),
  })
  .map((made): { text: string; sent: Sent } => {
    const { method, fields, framing, chunks } = made;
    const chunked = framing === "chunked";
    const body = framing === "none" ? "" : chunks.join("");
    let text = `${method} ${made.absolute ? `http://HOST` : ""}${made.target} HTTP/1.1\r\nHost: HOST\r\n${made.noise}`;
    text += fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    if (framing === "length") text += `Content-Length: ${body.length}\r\n\r\n${body}`;
    else if (chunked) {
      const coded = chunks.map((one) => `${one.length.toString(16)}${made.extension}\r\n${one}\r\n`).join("");
      const trailers = made.trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      text += `Transfer-Encoding: chunked\r\n\r\n${coded}0\r\n${trailers}\r\n`;
    } else text += "\r\n";
    return { text, sent: { method, target: made.target, fields, body, trailers: chunked ? made.trailers : [] } };
  });

describe("requests that our client writes", () => {
  it("are read by node:http as what the client sent", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        async (made, cuts) => {
          tally.add(made.length);
          seen = [];
          const client = new RawClient(before.port);
          const text = made.map((one) => one.text).join("");
          const bytes = Buffer.from(text.replaceAll("HOST", before.host), "latin1");
          for (const piece of piecesOf(bytes, cuts)) {
            client.send(piece);
            await new Promise((resolve) => setImmediate(resolve));
          }
          // What follows a declined change of protocols is not served: see the server.
          const declined = made.findIndex((one) => one.text.includes("\r\nUpgrade: h2c\r\n"));
          const served = declined < 0 ? made : made.slice(0, declined + 1);
          if (declined < 0) await client.until((all) => (all.match(/HTTP\/1\.1 200 /g)?.length ?? 0) >= made.length);
          else await client.untilEnd();
          // Requests in a pipeline go to replicas side by side; only their answers are in order.
          expect(seen.map(textOf).sort()).toEqual(served.map(({ sent }) => textOf(sent)).sort());
          client.destroy();
        },
      ),
      { ...runs(2400), timeout: 30_000 },
    );
  });
});

expectShare("forwarded-requests", tally);
