/** The head of a replica's response: RFC 9112, sections 4 to 6, read strictly. */
import { CONTENT_LENGTH } from "../content-length.ts";
import { connectionHas, Field, fieldOf, nominatedBy } from "../fields.ts";

/** A replica sent bytes that are not an HTTP/1.1 response, or not one that has a single meaning. */
export class MalformedResponse extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "MalformedResponse";
  }
}

/** How the end of a body is found. */
export const Framing = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;

/** One of the values of {@link Framing}. */
export type Framing = (typeof Framing)[keyof typeof Framing];

/** A response head, reduced to what concerns the client. */
export interface ResponseHead {
  status: number;
  /** Reason phrase, often empty. */
  reason: string;
  /** End-to-end fields, flat: name and value in turn. Content-Length is among them when the client is to see it. */
  fields: string[];
  framing: Framing;
  /** Bytes of the body when `framing` is `length`; else 0. */
  length: number;
  /** Whether the replica keeps its connection for another request. */
  keepAlive: boolean;
  /** Seconds that the replica says it keeps an idle connection (`Keep-Alive: timeout=`). */
  keepAliveSeconds: number | undefined;
  /** Names of the fields that the replica announced for after a chunked body. */
  trailer: string | undefined;
  /** Protocol that the replica changes to; always there when the status is 101. */
  upgrade: string | undefined;
}

/**
 * The whole grammar of a head without its last two line ends: status line, then fields. It refuses what lenient parsers
 * read in two ways: folded lines, white space before a colon, bare CR or LF, control characters, other HTTP versions.
 * Each class excludes the character that ends it, so matching is linear.
 */
const HEAD =
  /^HTTP\/1\.[01] [1-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/;
const TRAILER_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Reads a head: latin1 text without the empty line. `toHead`: it answers a HEAD request, so no body follows.
 * Throws {@link MalformedResponse}.
 */
export function parseResponseHead(text: string, toHead: boolean): ResponseHead {
  if (!HEAD.test(text)) throw new MalformedResponse("its head breaks the grammar of HTTP/1.1");
  const minor = text.charCodeAt(7) - 0x30;
  const status = Number(text.slice(9, 12));
  let end = text.indexOf("\r\n");
  if (end < 0) end = text.length;
  const reason = end > 13 ? text.slice(13, end) : "";

  const fields: string[] = [];
  let contentLength: string | undefined;
  let contentLengthName = "";
  let chunked = false;
  let close = minor === 0;
  let keepAliveSeconds: number | undefined;
  let trailer: string | undefined;
  let upgrade: string | undefined;
  let upgrades = false;
  let nominated: string[] | undefined;

  for (let start = end + 2; start < text.length; start = end + 2) {
    end = text.indexOf("\r\n", start);
    if (end < 0) end = text.length;
    const colon = text.indexOf(":", start);
    const name = text.slice(start, colon);
    const value = trimmed(text, colon + 1, end);
    switch (fieldOf(name)) {
      case Field.connection:
        nominated = nominatedBy(value, nominated);
        if (!close) close = connectionHas(value, "close");
        if (!upgrades) upgrades = connectionHas(value, "upgrade");
        break;
      case Field.keepAlive:
        keepAliveSeconds = secondsOf(value);
        break;
      case Field.transferEncoding:
        if (chunked) throw new MalformedResponse("it has more than one Transfer-Encoding");
        // A tab next to it is white space to RFC 9110; to llhttp it is part of another coding, so the body ends elsewhere.
        if (value.toLowerCase() !== "chunked" || text.slice(colon, end).includes("\t"))
          throw new MalformedResponse("its Transfer-Encoding is not chunked alone");
        if (minor === 0) throw new MalformedResponse("it has a Transfer-Encoding in HTTP/1.0");
        chunked = true;
        break;
      case Field.contentLength:
        if (!CONTENT_LENGTH.test(value)) throw new MalformedResponse("its Content-Length is not a number");
        // Equal or not: RFC 9112, section 6.3 lets a recipient do either, and Node's parser refuses both.
        if (contentLength !== undefined) throw new MalformedResponse("it has more than one Content-Length");
        contentLength = value;
        contentLengthName = name;
        break;
      case Field.trailer:
        trailer = trailer === undefined ? value : `${trailer}, ${value}`;
        break;
      case Field.upgrade:
        upgrade = value;
        break;
      case Field.hopByHop:
      case Field.reserved:
      case Field.probe:
        break;
      default:
        fields.push(name, value);
    }
  }
  if (chunked && contentLength !== undefined) {
    throw new MalformedResponse("it has both a Content-Length and a Transfer-Encoding");
  }
  if (nominated !== undefined) removeAll(fields, nominated);

  if (!upgrades || upgrade === "") upgrade = undefined;
  if (status === 101 && upgrade === undefined) {
    throw new MalformedResponse("it changes protocols without naming one"); // RFC 9110, sections 7.8 and 15.2.2
  }

  let framing: Framing;
  let length = 0;
  if (status < 200 || status === 204) {
    framing = Framing.none; // and a Content-Length would be a lie: RFC 9110, section 8.6
  } else {
    if (contentLength !== undefined) fields.push(contentLengthName, contentLength);
    if (toHead || status === 304) framing = Framing.none;
    else if (chunked) framing = Framing.chunked;
    else if (contentLength === undefined) framing = Framing.untilClose;
    else {
      length = Number(contentLength);
      framing = length === 0 ? Framing.none : Framing.length;
    }
  }
  return { status, reason, fields, framing, length, keepAlive: !close, keepAliveSeconds, trailer, upgrade };
}

/** Splits one line of a trailer section. Throws {@link MalformedResponse}. */
export function parseTrailerLine(line: string): [name: string, value: string] {
  if (!TRAILER_LINE.test(line)) throw new MalformedResponse("its trailer section breaks the grammar of HTTP/1.1");
  const colon = line.indexOf(":");
  const name = line.slice(0, colon);
  const field = fieldOf(name);
  if (field === Field.contentLength || field === Field.transferEncoding) {
    throw new MalformedResponse("its trailer section speaks of its framing");
  }
  return [name, trimmed(line, colon + 1, line.length)];
}

/** `text` from `start` to `end` without the blanks and tabs around it. */
function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function secondsOf(value: string): number | undefined {
  const match = /(?:^|[\s,;])timeout=([0-9]{1,9})/i.exec(value);
  return match ? Number(match[1]) : undefined;
}

function removeAll(fields: string[], names: string[]): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (names.includes(name.toLowerCase())) continue;
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1] as string;
    kept += 2;
  }
  fields.length = kept;
}
