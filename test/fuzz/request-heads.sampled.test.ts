import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawClient } from "../gateway/harness.ts";
import { type BeforeReplica, startBefore } from "./before-replica.ts";
import { readStrictly, type StrictRequest } from "./strict-requests.ts";
import { expectShare, piecesOf, runs, Tally } from "./support.ts";

const tally = new Tally();
let replica: Server;
let before: BeforeReplica;
/** Requests that the replica could take for whole and that no client has been found for yet. */
let arrived: StrictRequest[] = [];
/** What clients have sent, whole and beyond doubt, and the replica has not been seen to get: method, target and body. */
const sent = new Map<string, number>();

beforeAll(async () => {
  // A bare socket: nobody reads the gateway's bytes charitably here. It answers each whole request, and nothing else.
  replica = createServer((socket) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const { whole, rest } = readStrictly(text + bytes.toString("latin1"));
      text = rest;
      arrived.push(...whole);
      for (const _ of whole) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanswer\n");
    });
  });
  before = await startBefore(replica);
  arrived = [];
});
afterAll(async () => {
  await before.test.close();
  replica.close();
});

/** Sends `bytes` on one connection, in pieces, and returns what came back before it was closed. */
async function exchange(pieces: readonly Buffer[], expected: number): Promise<string> {
  const client = new RawClient(before.port);
  await once(client.socket, "connect");
  for (const piece of pieces) {
    if (client.ended !== "open") break;
    client.send(piece);
    if (pieces.length > 1) await turn();
  }
  // A client that closes its side gives up what is under way, so the answers that are due have to come first.
  if (expected > 0) {
    await client.until((text) => answersIn(text).length >= expected || client.ended !== "open").catch(() => undefined);
  }
  client.socket.end();
  await client.untilEnd();
  client.destroy();
  return client.received;
}

/** Final responses: their status and the gateway's code. */
function answersIn(text: string): { status: number; code: string | undefined }[] {
  return [...text.matchAll(/HTTP\/1\.1 ([2-9]\d\d) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g)].map((match) => ({
    status: Number(match[1]),
    code: /^appctl-gateway: (\w+)\r$/m.exec(match[2] ?? "")?.[1],
  }));
}

/** The gateway's own answers of 500 and above that a client's bytes may lead to. */
const DECLARED = new Set(["TRANSFER_CODING_UNSUPPORTED"]);

/** Sends what a client sends on one connection, and checks what the client and the replica get. */
async function check(text: string, cuts: readonly number[]): Promise<void> {
  tally.add();
  before.engine.admitted = 0;
  const reading = readStrictly(text);
  const forApp = reading.whole.filter(({ host }) => hostOf(host) === before.host);
  const answers = await exchange(piecesOf(Buffer.from(text, "latin1"), cuts), reading.whole.length).then(answersIn);

  for (const { status, code } of answers) {
    if (status >= 500) expect(DECLARED, `${status} ${code}`).toContain(code);
  }
  // No more requests get through than were sent beyond doubt; of the last, the body may still be on its way.
  const begun = reading.begun && hostOf(reading.begun.host) === before.host ? 1 : 0;
  const what = `${JSON.stringify(text)} → ${JSON.stringify(answers)}`;
  expect(before.engine.admitted, what).toBeLessThanOrEqual(forApp.length + begun);
  for (const one of forApp) sent.set(keyOf(one), (sent.get(keyOf(one)) ?? 0) + 1);
  expectAllSent();
}

/** Each request that the replica took for whole was sent as such, once for each time. It may arrive late. */
function expectAllSent(): void {
  for (const one of arrived.splice(0)) {
    const left = sent.get(keyOf(one)) ?? 0;
    expect(left, `the replica saw ${JSON.stringify(one)}`).toBeGreaterThan(0);
    sent.set(keyOf(one), left - 1);
  }
}

const keyOf = ({ method, target, body }: StrictRequest) =>
  `${method} ${target.replace(/^https?:\/\/[^/?]+(?=(.?))/i, (_, next) => (next === "/" ? "" : "/"))} ${body}`;
const hostOf = (host: string) => host.replace(/:\d+$/, "");

const GOOD = [
  "GET /TAG HTTP/1.1\r\nHost: HOST\r\n\r\n",
  "GET /TAG?b=c HTTP/1.1\r\nHost: HOST:PORT\r\nX: y\r\nAccept: */*\r\n\r\n",
  "HEAD /TAG HTTP/1.1\r\nHost: HOST\r\n\r\n",
  "POST /TAG HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello",
  "POST /TAG HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
  "PUT /TAG HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n1\r\nx\r\n0\r\nT: v\r\n\r\n",
  "GET http://HOST/TAG HTTP/1.1\r\nHost: HOST\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n",
  "DELETE /TAG HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
  "GET /TAG HTTP/1.0\r\nHost: HOST\r\n\r\n",
  "POST /TAG HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
  // To the API and to nobody, over the same listener.
  "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "POST /api/v1/api-keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}",
  "GET /console HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
];

const FRAGMENTS = [
  ...[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    "\x7f",
    "\xff",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r\n\t",
    "%00",
    "\x0b",
    "\x85",
  ],
  ...[
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length : 5\r\n",
  ],
  ...[
    "Content-Length: 6\r\n",
    "Content-Length: \r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: -1\r\n",
    "content-length:5\r\n",
  ],
  ...[
    "Content-Length: 99999999999999999999\r\n",
    "Content_Length: 5\r\n",
    "Content-Length\0: 5\r\n",
    "Content-Length: 5\0\r\n",
  ],
  ...[
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
  ],
  ...["Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, identity\r\n"],
  ...[
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "TE: chunked\r\n",
  ],
  ...[
    "Transfer-Encoding: chunked\r\n Content-Length: 5\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "transfer_encoding: chunked\r\n",
  ],
  ...[
    "Host: HOST\r\n",
    "Host: elsewhere\r\n",
    "Host:\r\n",
    "Host: a b\r\n",
    "Host: HOST, HOST\r\n",
    "Host : HOST\r\n",
    "Host: [::1\r\n",
  ],
  ...[
    "Host: user@HOST\r\n",
    "Host: HOST:99999999\r\n",
    "Host: HOST/x\r\n",
    "X: y\r\n z\r\n",
    "X y\r\n",
    ": x\r\n",
    "X\r\n",
    "(X): y\r\n",
  ],
  ...[
    "Connection: close\r\n",
    "Connection: content-length\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "Upgrade: websocket\r\n",
  ],
  ...[
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
    "appctl-probe: x\r\n",
  ],
  ...[
    "GET / HTTP/1.1\r\n",
    "GET /x\r\n",
    "get / http/1.1\r\n",
    "GET / HTTP/2.0\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET  / HTTP/1.1\r\n",
  ],
  ...[
    "CONNECT HOST:80 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET / HTTP/1.1 x\r\n",
    "GET http://elsewhere/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
  ],
  ...[
    "GET ../x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET //a/../%2e%2e/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\x16\x03\x01\x02\0\x01\0",
  ],
  ...[
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "0x5\r\n",
    "ffffffffffffffff\r\n",
    "5 \r\n",
    "-1\r\n",
    "5\n",
    "5;a\n",
    '5;a="\n\r\n',
    "1\r\nZZ",
  ],
  `X-Long: ${"a".repeat(40_000)}\r\n`,
  Array.from({ length: 300 }, (_, index) => `F${index}: v\r\n`).join(""),
  `GET /${"a".repeat(40_000)} HTTP/1.1\r\n`,
];

type Change = (text: string) => string;

function placeIn(text: string, at: number): number {
  const marks = [...text.matchAll(/\r\n|:|;|\d+| /g)].map((match) => match.index);
  return at % 4 === 0 || marks.length === 0 ? at % (text.length + 1) : (marks[at % marks.length] as number);
}

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(), fc.constantFrom(...FRAGMENTS)).map(
      ([at, fragment]): Change =>
        (text) => {
          // A whole line at the beginning of one; everything else anywhere.
          const ends = [0, ...[...text.matchAll(/\r\n/g)].map((match) => match.index + 2)];
          const place = fragment.endsWith("\r\n") ? (ends[at % ends.length] as number) : placeIn(text, at);
          return text.slice(0, place) + fragment + text.slice(place);
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })).map(
      ([at, byte]): Change =>
        (text) => {
          const place = placeIn(text, at);
          return text.slice(0, place) + String.fromCharCode(byte) + text.slice(place + 1);
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.integer({ min: 1, max: 5 })).map(
      ([at, count]): Change =>
        (text) => {
          const place = placeIn(text, at);
          return text.slice(0, place) + text.slice(place + count);
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): Change =>
        (text) =>
          text.slice(0, at % (text.length + 1)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.integer({ min: -2, max: 3 })).map(
      ([at, by]): Change =>
        (text) => {
          const numbers = [...text.matchAll(/(?<=Content-Length: |\r\n)\d+/g)];
          const match = numbers[at % Math.max(1, numbers.length)];
          if (!match) return text;
          return text.slice(0, match.index) + String(Number(match[0]) + by) + text.slice(match.index + match[0].length);
        },
    ),
  },
);

const good = fc.constantFrom(...GOOD);
const bad = fc
  .tuple(good, fc.array(change, { minLength: 1, maxLength: 3 }))
  .map(([text, changes]) => changes.reduce((changed, apply) => apply(changed), text));
/** Each case has targets of its own, so that what arrives can be told to be its. */
const addressed = (text: string) =>
  text.replaceAll("HOST", before.host).replaceAll("PORT", String(before.port)).replaceAll("TAG", `c${tally.count}`);

async function stillAnswers(): Promise<void> {
  const client = new RawClient(before.port).send(addressed("GET /still HTTP/1.1\r\nHost: HOST\r\n\r\n"));
  expect(await client.until(/answer\n$/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  client.destroy();
  arrived = arrived.filter(({ target }) => target !== "/still");
}

describe("malformed requests on the listener", () => {
  it("never reach the replica unless they were sent whole and beyond doubt", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(good, { maxLength: 2 }),
        bad,
        fc.array(good, { maxLength: 1 }),
        fc.oneof(
          { weight: 3, arbitrary: fc.constant<number[]>([]) },
          { weight: 1, arbitrary: fc.array(fc.nat(), { maxLength: 4 }) },
        ),
        async (ahead, wrong, behind, cuts) => {
          try {
            await check(addressed([...ahead, wrong, ...behind].join("")), cuts);
          } catch (error) {
            // Nothing of it may stay for the smaller cases that are tried now.
            await new Promise((resolve) => setTimeout(resolve, 100));
            arrived = [];
            throw error;
          }
        },
      ),
      { ...runs(12_000), timeout: 60_000 },
    );
    await stillAnswers();
    expectAllSent();
  });

  it("are not forwarded when they are cut, at whichever byte", async () => {
    for (const text of GOOD.map(addressed)) {
      for (let end = 1; end <= text.length; end++) await check(text.slice(0, end), []);
    }
    await stillAnswers();
  });

  it.each(["GET /TAG", "GET /TAG HTTP/0.9", "GET /TAG HTTP/2.0"])(
    "are refused in another version: %s",
    async (line) => {
      before.engine.admitted = 0;
      const text = await exchange([Buffer.from(addressed(`${line}\r\nHost: HOST\r\n\r\n`))], 1);
      expect(answersIn(text)).toEqual([{ status: 400, code: "BAD_REQUEST" }]);
      expect(before.engine.admitted).toBe(0);
    },
  );

  it("leave nothing behind when they ask for another protocol, wherever they stand", async () => {
    const upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    const own = addressed(`GET / HTTP/1.1\r\nHost: localhost\r\n${upgrade}`);
    for (const first of ["", addressed("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")]) {
      const client = new RawClient(before.port).send(first + own);
      // More than the head, in a read of its own, and then a reset: neither may hurt the platform.
      await turn();
      client.send("more");
      await client.untilEnd();
      client.socket.resetAndDestroy();
      expect(answersIn(client.received)).toEqual(first === "" ? [{ status: 400, code: "BAD_REQUEST" }] : []);
    }
    await stillAnswers();
  });

  it("does not take for a request what was the body of one behind a declined change of protocols", async () => {
    const smuggled = addressed("GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n");
    const declined = addressed("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    const post = addressed(`POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: ${smuggled.length}\r\n\r\n`);
    arrived = [];
    const client = new RawClient(before.port).send(declined + post);
    await client.until(/HTTP\/1\.1/);
    client.send(smuggled);
    await client.untilEnd();
    expect(arrived.map(({ method, target }) => `${method} ${target}`)).toEqual(["GET /"]);
    expect(answersIn(client.received)[0]).toEqual({ status: 200, code: undefined });
  });

  it.each([
    ["a plain one", ""],
    ["one that asks for another protocol, too", "Connection: upgrade\r\nUpgrade: h2c\r\n"],
  ])("serve nothing behind a declined change of protocols: %s", async (_, fields) => {
    arrived = [];
    before.engine.admitted = 0;
    const head = "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n";
    const client = new RawClient(before.port).send(addressed(head));
    while (before.engine.admitted === 0) await turn(); // its head is read by itself
    client.send("x");
    await turn(); // what is read together with the end of its body is dropped
    client.send(addressed(`GET /behind HTTP/1.1\r\nHost: HOST\r\n${fields}\r\n`));
    await client.untilEnd();
    expect(before.engine.admitted).toBe(1);
    expect(arrived.map(({ method, target }) => `${method} ${target}`)).toEqual(["POST /"]);
  });

  it.each([
    ["an app", "HOST"],
    ["an app that does not exist", "0HOST"],
    ["the API", "localhost"],
    ["nobody", "elsewhere.example"],
    ["a host that is none", "!HOST"],
  ])("let nothing pass behind a request of uncertain length to %s", async (_, host) => {
    arrived = [];
    before.engine.admitted = 0;
    const text =
      `PUT /TAG HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n` +
      "0\r\n\r\nGET /TAG HTTP/1.1\r\nHost: HOST\r\n\r\n";
    const client = new RawClient(before.port).send(addressed(text));
    await client.untilEnd();
    expect(answersIn(client.received)).toHaveLength(1);
    expect(before.engine.admitted).toBe(0);
    expect(arrived).toEqual([]);
  });
});

expectShare("request-heads", tally);
