import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_CHUNK_EXTENSION_BYTES } from "../../src/gateway/upstream/chunked-decoder.ts";
import { MalformedResponse } from "../../src/gateway/upstream/response-head.ts";
import { MAX_HEAD_BYTES, ResponseParser } from "../../src/gateway/upstream/response-parser.ts";

interface Seen {
  interim: number[];
  status: number | undefined;
  fields: string[];
  body: string;
  trailers: string[];
  complete: boolean;
  surplus: number;
}

/** Feeds `pieces` through one reused buffer, as the connection does, and tells what came out. */
function feed(pieces: string[], kind = { toHead: false, toUpgrade: false }): Seen {
  const parser = new ResponseParser();
  parser.expect(kind);
  const shared = Buffer.alloc(256 * 1024, "\r\n\r\n"); // what an earlier read left there must never be looked at
  const seen: Seen = {
    interim: [],
    status: undefined,
    fields: [],
    body: "",
    trailers: [],
    complete: false,
    surplus: 0,
  };
  const sink = {
    onInformation: (head: { status: number }) => void seen.interim.push(head.status),
    onHead: (head: { status: number; fields: string[] }) => {
      seen.status = head.status;
      seen.fields = [...head.fields];
    },
    onBody: (buffer: Buffer, start: number, end: number) => {
      seen.body += buffer.toString("latin1", start, end);
    },
  };
  for (const piece of pieces) {
    const length = shared.write(piece, "latin1");
    const consumed = parser.execute(shared, length, sink);
    seen.surplus += length - consumed;
    shared.fill("\r\n\r\n", 0, length);
  }
  seen.complete = parser.complete;
  seen.trailers = parser.trailers;
  return seen;
}

const byByte = (text: string) => [...text];
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/).map((name) => `X-${name}`);
const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?$/);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString("latin1"));
const field = fc.tuple(token, value).filter(([name]) => !/^x-forwarded-/i.test(name));

const message = fc
  .record({
    interim: fc.integer({ min: 0, max: 2 }),
    status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
    fields: fc.array(field, { maxLength: 6 }),
    chunks: fc.array(
      bytes.filter((chunk) => chunk.length > 0),
      { maxLength: 5 },
    ),
    framing: fc.constantFrom("length", "chunked", "close"),
    trailers: fc.array(field, { maxLength: 2 }),
    extension: fc.constantFrom("", ";a", ';a="b \\" c"', ";a;b=c"),
  })
  .map((made) => {
    const body = made.chunks.join("");
    let text = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".repeat(made.interim);
    text += `HTTP/1.1 ${made.status} Why not\r\n${made.fields.map(([name, is]) => `${name}:  ${is} \r\n`).join("")}`;
    if (made.framing === "length") text += `Content-Length: ${body.length}\r\n\r\n${body}`;
    else if (made.framing === "close") text += `\r\n${body}`;
    else {
      const chunks = made.chunks
        .map((chunk) => `${chunk.length.toString(16)}${made.extension}\r\n${chunk}\r\n`)
        .join("");
      const trailers = made.trailers.map(([name, is]) => `${name}: ${is}\r\n`).join("");
      text += `Transfer-Encoding: Chunked\r\n\r\n${chunks}0${made.extension}\r\n${trailers}\r\n`;
    }
    return { ...made, body, text };
  });

describe("the response parser", () => {
  it("reads any valid response the same however it is split", () => {
    fc.assert(
      fc.property(message, fc.array(fc.nat(), { maxLength: 12 }), (made, cuts) => {
        const at = [...new Set(cuts.map((cut) => cut % (made.text.length + 1)))].sort((a, b) => a - b);
        const pieces = [0, ...at].map((start, i) => made.text.slice(start, at[i]));
        const expected = {
          interim: Array(made.interim).fill(103),
          status: made.status,
          fields: [
            ...made.fields.flat(),
            ...(made.framing === "length" ? ["Content-Length", String(made.body.length)] : []),
          ],
          body: made.body,
          trailers: made.framing === "chunked" ? made.trailers.flat() : [],
          complete: made.framing !== "close",
          surplus: 0,
        };
        for (const split of [[made.text], byByte(made.text), pieces]) expect(feed(split)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  it("never reads past the end of a response", () => {
    fc.assert(
      fc.property(
        message.filter((made) => made.framing !== "close"),
        bytes,
        (made, surplus) => {
          const seen = feed([made.text + surplus]);
          expect([seen.body, seen.complete, seen.surplus]).toEqual([made.body, true, surplus.length]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("neither throws anything but MalformedResponse nor hangs, whatever it is fed", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            "HTTP/1.1 200 OK",
            "\r\n",
            "\r",
            "\n",
            "a: b",
            ":",
            " ",
            "0",
            "f",
            ";",
            "Content-Length: 1",
            "Transfer-Encoding: chunked",
            "\0",
          ),
          { maxLength: 20 },
        ),
        (words) => {
          try {
            feed(words);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedResponse);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ["no version", "200 OK\r\n\r\n"],
    ["another version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a short status", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["a long status", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    ["a folded first field", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n"],
    ["a bare CR", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n"],
    ["a space before a colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"],
    ["no colon", "HTTP/1.1 200 OK\r\nA\r\n\r\n"],
    ["an empty name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n"],
    ["a NUL", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"],
    ["a DEL in the reason", "HTTP/1.1 200 O\x7fK\r\n\r\n"],
    ["lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\na"],
    ["one length that is said twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"],
    [
      "an interim response that ends the connection",
      "HTTP/1.1 103 E\r\nConnection: close\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    ],
    ["an interim response in HTTP/1.0", "HTTP/1.0 100 C\r\n\r\nHTTP/1.1 204 No\r\n\r\n"],
    ["a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na"],
    ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
    ["an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"],
    ["a length beyond all measure", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n"],
    ["both framings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"],
    ["both framings, for 304", "HTTP/1.1 304 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a 101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["no chunk size", `${chunked}\r\n`],
    ["a chunk size that is none", `${chunked}xyz\r\n`],
    ["a signed chunk size", `${chunked}+5\r\nhello\r\n`],
    ["a prefixed chunk size", `${chunked}0x5\r\nhello\r\n`],
    ["a chunk size with a space in it", `${chunked}5 5\r\n`],
    ["a chunk size that overflows", `${chunked}fffffffffffff\r\n`],
    ["a chunk size without CR", `${chunked}5\nhello\r\n`],
    ["a chunk size with a CR in it", `${chunked}5\r5\n`],
    ["a chunk that is too long", `${chunked}2\r\nabc\r\n`],
    ["a chunk without CR LF", `${chunked}2\r\nab\n`],
    ["a control character in an extension", `${chunked}2;a\n\r\nab\r\n`],
    ["white space after a chunk size", `${chunked}2 \r\nab\r\n`],
    ["white space before an extension", `${chunked}2 ;a\r\nab\r\n`],
    ["an extension without a name", `${chunked}2;\r\nab\r\n`],
    ["an extension without its value", `${chunked}2;a=\r\nab\r\n`],
    ["an extension whose quotes stay open", `${chunked}2;a="b\r\nab\r\n`],
    ["an extension with more after its quotes", `${chunked}2;a="b"c\r\nab\r\n`],
    ["a length in the trailer section", `${chunked}0\r\nContent-Length: 1\r\n\r\n`],
    ["an endless extension", `${chunked}2;${"a".repeat(MAX_CHUNK_EXTENSION_BYTES + 1)}`],
    ["a malformed trailer", `${chunked}0\r\nA b\r\n\r\n`],
    ["a folded trailer", `${chunked}0\r\nA: b\r\n c\r\n\r\n`],
    ["a trailer with a bare LF", `${chunked}0\r\nA: b\n\r\n`],
  ])("refuses %s, whole and byte by byte", (_what, text) => {
    expect(() => feed([text])).toThrow(MalformedResponse);
    expect(() => feed(byByte(text))).toThrow(MalformedResponse);
  });

  it("refuses what cannot become HTTP as soon as that is certain", () => {
    expect(() => feed(["HTTP/1.1"])).not.toThrow();
    expect(() => feed(["220 smtp"])).toThrow(MalformedResponse);
    expect(() => feed(["H", "T", "x"])).toThrow(MalformedResponse);
  });

  it("holds heads to 64 KiB, exactly", () => {
    const start = "HTTP/1.1 204 No\r\nA: ";
    const head = (size: number) => `${start}${"a".repeat(size - start.length - 4)}\r\n\r\n`;
    for (const split of [(text: string) => [text], (text: string) => text.match(/[\s\S]{1,1000}/g) ?? []]) {
      expect(feed(split(head(MAX_HEAD_BYTES))).complete).toBe(true);
      expect(() => feed(split(head(MAX_HEAD_BYTES + 1)))).toThrow(MalformedResponse);
    }
    expect(() => feed(Array(70).fill("HTTP/1.1 ".padEnd(1000, "a")))).toThrow(MalformedResponse);
  });

  it("expects no body after HEAD, 204 and 304, whatever the fields say", () => {
    for (const [text, toHead] of [
      ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true],
      ["HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", false],
      ["HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n", false],
    ] as const) {
      expect(feed([text], { toHead, toUpgrade: false }).complete).toBe(true);
    }
  });

  it("refuses a 101 that names no protocol, or one without saying that it changes to it", () => {
    for (const fields of ["", "Upgrade: x\r\n", "Connection: upgrade\r\n"]) {
      const text = `HTTP/1.1 101 S\r\n${fields}\r\n`;
      expect(() => feed([text], { toHead: false, toUpgrade: true })).toThrow(MalformedResponse);
    }
  });

  it("hands on everything after a 101 that was asked for", () => {
    const seen = feed(["HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\0raw", "HTTP/1.1 200"], {
      toHead: false,
      toUpgrade: true,
    });
    expect([seen.status, seen.body, seen.complete]).toEqual([101, "\0rawHTTP/1.1 200", false]);
  });

  it("hands on nothing more once it is stopped, even in the middle of a read", () => {
    for (const rest of [
      "Content-Length: 4\r\n\r\nabcd",
      "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
    ]) {
      for (const stopAt of ["head", "body"]) {
        const parser = new ResponseParser();
        parser.expect({ toHead: false, toUpgrade: false });
        const calls: string[] = [];
        const note = (what: string) => {
          calls.push(what);
          if (what === stopAt) parser.stop();
        };
        const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${rest}`);
        parser.execute(bytes, bytes.length, {
          onInformation: () => note("interim"),
          onHead: () => note("head"),
          onBody: () => note("body"),
        });
        expect(calls).toEqual(stopAt === "head" ? ["head"] : ["head", "body"]);
        expect(parser.complete).toBe(false);
      }
    }
  });

  it("keeps hop-by-hop fields and the gateway's own names to itself", () => {
    const { fields } = feed([
      "HTTP/1.1 200 OK\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: a\r\n" +
        "TE: a\r\nUpgrade: b\r\nTrailer: c\r\nProxy-Authenticate: d\r\nAppctl-Revision: e\r\nappctl-gateway: f\r\n" +
        "X-Public: 2\r\nContent-Length: 0\r\n\r\n",
    ]);
    expect(fields).toEqual(["X-Public", "2", "Content-Length", "0"]);
  });
});
