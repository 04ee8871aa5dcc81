import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ResponseParser } from "../../src/gateway/upstream/response-parser.ts";
import { expectShare, piecesOf, runs, Tally } from "./support.ts";
import { type Asked, Oracle, type Outcome, type Play } from "./upstream-oracle.ts";

interface Stricter {
  name: string;
  reason: string;
  is(message: string, text: string): boolean;
}

/**
 * What ours refuses although Node's client takes it. A refused response is an honest 502; everything else has to come out
 * the same.
 */
const STRICTER: Stricter[] = [
  {
    name: "a transfer coding that is not chunked alone",
    reason:
      "nobody undoes the other codings, so the client would get bytes that are not the body; Node reads until close",
    is: (message) => message === "its Transfer-Encoding is not chunked alone",
  },
  {
    name: "a transfer coding that is named twice",
    reason: "RFC 9112, section 6.1: a body is chunked once; readers take two for one, or for another coding",
    is: (message) => message === "it has more than one Transfer-Encoding",
  },
  {
    name: "a transfer coding in HTTP/1.0",
    reason: "RFC 9112, section 6.1: its framing is faulty, since readers of HTTP/1.0 take the chunks for the body",
    is: (message) => message === "it has a Transfer-Encoding in HTTP/1.0",
  },
  {
    name: "a 101 that names no protocol",
    reason: "RFC 9110, section 15.2.2: Node takes it for an interim response, others for a tunnel",
    is: (message) => message === "it changes protocols without naming one",
  },
  {
    name: "framing fields after the body",
    reason: "RFC 9110, section 6.5.1: a trailer must not bring them; Node refuses all but some",
    is: (message) => message === "its trailer section speaks of its framing",
  },
  {
    name: "a chunk extension without a name or a value",
    reason: "RFC 9112, section 7.1.1 has none; Node's parser passes over `;;` and `;a=`",
    is: (message) => message === "a chunk extension breaks the grammar of HTTP/1.1",
  },
  {
    name: "a size beyond what a number holds",
    reason: "past 2^53 sums are no longer exact; no body is that long",
    is: (message, text) =>
      (message === "its Content-Length is not a number" && /^content-length:[ \t]*\d{16,}[ \t]*$/im.test(text)) ||
      message === "a chunk size is too large",
  },
  {
    name: "an interim response in HTTP/1.0",
    reason: "RFC 9110, section 15.2: HTTP/1.0 has none; Node takes one that says keep-alive",
    is: (message) => message === "it follows an interim response that ends the connection",
  },
  {
    name: "a status below 100",
    reason: "RFC 9110, section 15: there is none, and no client knows what to make of it",
    is: (message, text) => grammar(message) && /^HTTP\/1\.[01] 0\d\d/m.test(text),
  },
  {
    name: "another version of HTTP",
    reason: "only 1.0 and 1.1 are framed as these are read; Node takes 0.9 and 2.0 for them",
    is: (message, text) => grammar(message) && /^HTTP\/(?!1\.[01] )/m.test(text),
  },
  {
    name: "an empty line before a head",
    reason:
      "RFC 9112, section 2.2 lets a server pass over it, not a client; it is what a body of a wrong length leaves",
    is: (message, text) => grammar(message) && /(?:^|\r\n\r\n)\r?\n/.test(text),
  },
  {
    name: "a control character in a reason phrase",
    reason: "RFC 9112, section 4 has none there; it would go on into the client's log or terminal",
    is: (message, text) => grammar(message) && /^HTTP\/1\.[01] \d{3} [^\r\n]*[\0-\x08\x0b-\x1f\x7f]/m.test(text),
  },
];

const grammar = (message: string) =>
  /^(?:its head breaks the grammar of HTTP\/1.1|it does not begin with HTTP\/1)$/.test(message);

const tally = new Tally();
/** How often each of {@link STRICTER} was seen. */
const stricter = new Map<string, number>();
let surplus = 0;
let oracle: Oracle;
beforeAll(async () => {
  oracle = await new Oracle({ keep: false }).start();
});
afterAll(() => oracle.close());

const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,10}$/).map((text) => `X-${text}`);
const value = fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,12}[\x21-\x7e\x80-\xff])?)?$/);
const field = fc.tuple(name, value).filter(([text]) => !/^x-(?:forwarded-|request-id$)/i.test(text));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString("latin1")),
  fc.constantFrom("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0\r\n\r\n", "\r\n\r\n", "5\r\nhello\r\n"),
);

/** A valid response as latin1 text; `framed`: its end can be told without the connection's. */
interface Message {
  asked: Asked;
  text: string;
  framed: boolean;
}

const message: fc.Arbitrary<Message> = fc
  .record({
    asked: fc.constantFrom<Asked>("get", "get", "get", "get", "head", "upgrade"),
    interim: fc.constantFrom("", "", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
    version: fc.constantFrom("1.1", "1.1", "1.1", "1.0"),
    status: fc.oneof(fc.constantFrom(200, 204, 304, 101, 205, 404), fc.integer({ min: 200, max: 599 })),
    reason: fc.constantFrom(" OK", " ", "", " Why \xe9 not"),
    fields: fc.array(field, { maxLength: 4 }),
    connection: fc.constantFrom(
      "",
      "",
      "Connection: close\r\n",
      "Connection: keep-alive\r\n",
      "connection: Keep-Alive, x\r\n",
    ),
    framing: fc.constantFrom("length", "chunked", "close"),
    chunks: fc.array(
      bytes.filter((chunk) => chunk.length > 0),
      { maxLength: 4 },
    ),
    trailers: fc.array(field, { maxLength: 2 }),
    extension: fc.constantFrom("", "", ";a", ';a="b c"', ";a=b;c"),
    zeros: fc.constantFrom("", "0", "000"),
  })
  .map((made) => {
    const { asked } = made;
    const status = made.status === 101 && asked !== "upgrade" ? 200 : made.status;
    const body = made.chunks.join("");
    let head = `HTTP/${status === 101 ? "1.1" : made.version} ${status}${made.reason}\r\n`;
    head += made.fields.map(([key, text]) => `${key}: ${text}\r\n`).join("");
    if (status === 101) {
      return { asked, framed: false, text: `${made.interim}${head}Connection: Upgrade\r\nUpgrade: x\r\n\r\n${body}` };
    }
    head += made.connection;
    const bare = asked === "head" || status === 204 || status === 304;
    if (made.framing === "length") {
      const length = status === 204 ? "" : `Content-Length: ${body.length}\r\n`;
      return { asked, framed: true, text: `${made.interim}${head}${length}\r\n${bare ? "" : body}` };
    }
    if (made.framing === "close" || made.version === "1.0") {
      return { asked, framed: bare, text: `${made.interim}${head}\r\n${bare ? "" : body}` };
    }
    if (bare) {
      const coding = status === 204 ? "" : "Transfer-Encoding: chunked\r\n";
      return { asked, framed: true, text: `${made.interim}${head}${coding}\r\n` };
    }
    const chunks = made.chunks.map(
      (chunk) => `${made.zeros}${chunk.length.toString(16)}${made.extension}\r\n${chunk}\r\n`,
    );
    const trailers = made.trailers.map(([key, text]) => `${key}: ${text}\r\n`).join("");
    const coded = `${chunks.join("")}${made.zeros}0${made.extension}\r\n${trailers}\r\n`;
    return { asked, framed: true, text: `${made.interim}${head}Transfer-Encoding: Chunked\r\n\r\n${coded}` };
  });

/** Pieces of responses that are wrong, doubtful or somewhere else right. */
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
    ",",
    "0",
    "\x7f",
    "\xff",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "-",
    "+",
    "_",
  ],
  ...[
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "content-length:5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
  ],
  ...[
    "Content-Length: \r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5 \r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 1e1\r\n",
  ],
  ...[
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 5 5\r\n",
  ],
  ...[
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
  ],
  ...["Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, gzip\r\n"],
  ...[
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "TE: chunked\r\n",
  ],
  ...["Transfer-Encoding: \x0bchunked\r\n", "Transfer-Encoding: chunked,\r\n", "Transfer-Encoding: ,chunked\r\n"],
  ...[
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: upgrade\r\nUpgrade: x\r\n",
    "Upgrade: h2c\r\n",
  ],
  ...["HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 S\r\n\r\n"],
  ...[
    "HTTP/1.1 204 No\r\n\r\n",
    "X: y\r\n z\r\n",
    "X y\r\n",
    ": x\r\n",
    "X\r\n",
    "(X): y\r\n",
    "X: \x01\r\n",
    "X : y\r\n",
  ],
  ...[
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "0x5\r\n",
    "ffffffffffffffff\r\n",
    "5;\r\n",
    "5 \r\n",
    "5 ;a\r\n",
    ";\n\r\n",
    "-1\r\n",
    "5\n",
  ],
];

type Change = (text: string) => string;

/** A place in `text`, most often one near its framing: a line's end, a digit, a colon. */
function placeIn(text: string, at: number): number {
  const marks = [...text.matchAll(/\r\n|:|;|\d+/g)].map((match) => match.index);
  return at % 3 === 0 || marks.length === 0 ? at % (text.length + 1) : (marks[at % marks.length] as number);
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom(...FRAGMENTS)).map(
    ([at, fragment]): Change =>
      (text) => {
        const place = placeIn(text, at);
        return text.slice(0, place) + fragment + text.slice(place);
      },
  ),
  // A whole line, where lines are.
  fc.tuple(fc.nat(), fc.constantFrom(...FRAGMENTS.filter((one) => one.endsWith("\r\n")))).map(
    ([at, line]): Change =>
      (text) => {
        const ends = [...text.matchAll(/\r\n/g)].map((match) => match.index + 2);
        const place = ends[at % Math.max(1, Math.min(4, ends.length))] ?? 0;
        return text.slice(0, place) + line + text.slice(place);
      },
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })).map(
    ([at, byte]): Change =>
      (text) => {
        const place = placeIn(text, at);
        return text.slice(0, place) + String.fromCharCode(byte) + text.slice(place + 1);
      },
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 4 })).map(
    ([at, count]): Change =>
      (text) => {
        const place = placeIn(text, at);
        return text.slice(0, place) + text.slice(place + count);
      },
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 30 })).map(
    ([at, count]): Change =>
      (text) => {
        const place = placeIn(text, at);
        return text.slice(0, place + count) + text.slice(place);
      },
  ),
  fc.nat().map(
    (at): Change =>
      (text) =>
        text.slice(0, at % (text.length + 1)),
  ),
  bytes.map(
    (more): Change =>
      (text) =>
        text + more,
  ),
  fc.nat().map(
    (at): Change =>
      (text) => {
        const numbers = [...text.matchAll(/\d+/g)];
        const match = numbers[at % Math.max(1, numbers.length)];
        if (!match) return text;
        return (
          text.slice(0, match.index) +
          String(Number(match[0]) + (at % 5) - 2) +
          text.slice(match.index + match[0].length)
        );
      },
  ),
);

const cuts = fc.oneof(
  { weight: 2, arbitrary: fc.constant<number[]>([]) },
  { weight: 2, arbitrary: fc.array(fc.nat(), { maxLength: 5 }) },
);

/** Fails unless ours is what Node's is, or a refusal that has a name. `exactly`: no refusal is allowed. */
function compare({ ours, node }: { ours: Outcome; node: Outcome }, exactly: boolean, text: string): void {
  if (ours.refused !== undefined) {
    if (node.refused !== undefined) return;
    const { refused } = ours;
    const named = STRICTER.find((one) => one.is(refused, text));
    expect(
      exactly ? undefined : named?.name,
      `${JSON.stringify(text)}: ours refuses: ${refused}; node gives ${JSON.stringify(node)}`,
    ).toBeDefined();
    stricter.set(named?.name as string, (stricter.get(named?.name as string) ?? 0) + 1);
    return;
  }
  expect(node.refused, `${JSON.stringify(text)}: ours gives ${JSON.stringify(ours)}`).toBeUndefined();
  if (node.refused !== undefined) return;
  const { interim, status, body, trailers } = node;
  expect({ ...ours, fields: [], reuse: false }, JSON.stringify([text, ours, node])).toEqual({
    interim,
    status,
    body,
    trailers,
    fields: [],
    reuse: false,
  });
  const left = node.fields.map(([key, text]) => `${key}: ${text}`);
  for (const [key, text] of ours.fields) {
    const at = left.indexOf(`${key}: ${text}`);
    expect(at, `${key}: ${text}`).toBeGreaterThanOrEqual(0);
    left.splice(at, 1);
  }
}

/** Where our parser says that the response in `text` ends. Only for one that it does not refuse. */
function endOf(text: string, asked: Asked): number {
  const parser = new ResponseParser();
  parser.expect({ toHead: asked === "head", toUpgrade: asked === "upgrade" });
  const all = Buffer.from(text, "latin1");
  try {
    return parser.execute(all, all.length, {
      onInformation: () => undefined,
      onHead: () => undefined,
      onBody: () => undefined,
    });
  } catch {
    return all.length;
  }
}

const play = ({ asked, text }: Message, at: readonly number[], end: boolean): Play => ({
  asked,
  pieces: piecesOf(Buffer.from(text, "latin1"), at),
  end,
});

describe("our client and Node's, given the same bytes", () => {
  it("read every valid response alike, and keep the same connections", async () => {
    await fc.assert(
      fc.asyncProperty(message, cuts, async (made, at) => {
        tally.add();
        const both = await oracle.both(play(made, at, !made.framed));
        compare(both, true, made.text);
        if (both.ours.refused !== undefined || both.node.refused !== undefined) return;
        const kept = { ours: both.ours.reuse, node: both.node.reuse };
        if (/HTTP\/1\.0 \d/.test(made.text)) {
          // A connection of HTTP/1.0 is not kept, whatever it says: nothing is lost but a little time.
          expect(kept.ours).toBe(false);
        } else if (
          made.asked === "head" &&
          !/^(?:HTTP\/1\.1 [23]04|content-length:|transfer-encoding:)/im.test(made.text)
        ) {
          // Node gives it up for want of a length; but after HEAD nothing follows the head (RFC 9112, section 6.3).
          expect(kept).toEqual({ ours: !/^connection: close/im.test(made.text), node: false });
        } else expect(kept.ours).toBe(kept.node);
      }),
      { ...runs(8000), timeout: 30_000 },
    );
  });

  it("refuse a change of protocols that nobody asked for", async () => {
    const text = "HTTP/1.1 101 Early\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    const both = await oracle.both(play({ asked: "get", framed: false, text }, [], true));
    expect(both.ours.refused).toBe("it changes protocols without being asked");
    expect(both.node.refused).toBeDefined();
  });

  it("read one response after another alike on connections that are kept", async () => {
    const keeping = await new Oracle({ keep: true }).start();
    let exchanges = 0;
    try {
      const framed = fc.array(
        fc.tuple(
          message.filter((one) => one.framed),
          cuts,
        ),
        { minLength: 2, maxLength: 5 },
      );
      await fc.assert(
        fc.asyncProperty(framed, async (sequence) => {
          for (const [made, at] of sequence) {
            tally.add();
            exchanges++;
            compare(await keeping.both(play(made, at, false)), true, made.text);
          }
        }),
        { ...runs(600), timeout: 30_000 },
      );
      // Each of the two used connections again.
      expect(keeping.connections).toBeLessThan(1.5 * exchanges);
    } finally {
      keeping.close();
    }
  });

  it("never differ in where a malformed response ends", async () => {
    await fc.assert(
      fc.asyncProperty(message, fc.array(change, { minLength: 1, maxLength: 3 }), cuts, async (made, changes, at) => {
        tally.add();
        const text = changes.reduce((before, apply) => apply(before), made.text);
        const both = await oracle.both(play({ ...made, text }, at, true));
        const end = endOf(text, made.asked);
        if (both.ours.refused !== undefined || both.node.refused === undefined || end === text.length) {
          compare(both, false, text);
          return;
        }
        // More than a response came. Node gives up a response for what follows it in the same read, and not in the next;
        // ours gives up the connection either way. The response has to end where Node's does when nothing follows.
        surplus++;
        expect(both.ours.reuse).toBe(false);
        const alone = await oracle.both(play({ ...made, text: text.slice(0, end) }, [], true));
        expect(alone.ours).toEqual({ ...both.ours, reuse: expect.any(Boolean) });
        compare(alone, false, text.slice(0, end));
      }),
      { ...runs(24_000), timeout: 30_000 },
    );
    console.log(
      `ours refuses and Node's does not: ${JSON.stringify(Object.fromEntries(stricter))}; more than one response: ${surplus}`,
    );
  });
});

expectShare("upstream", tally);
