/** A reader of HTTP/1.1 requests that takes nothing but RFC 9112's own grammar: what it takes has one meaning only. */

/** A request that was sent completely and unambiguously. `body` is latin1. */
export interface StrictRequest {
  method: string;
  target: string;
  /** The Host field; empty when there is none, or more than one. Where the request ends is certain all the same. */
  host: string;
  body: string;
  /** Whether more may follow on the connection. */
  keepAlive: boolean;
}

/** What a client has sent, as far as it has one meaning. */
export interface Reading {
  /** Whole requests, in order, up to the first that is not. */
  whole: StrictRequest[];
  /** A request whose head is whole, but whose body is not, or not valid. */
  begun: Omit<StrictRequest, "body"> | undefined;
  /** What follows the whole ones. */
  rest: string;
}

/** More than one space in a request line is allowed to pass (RFC 9112, section 3), and llhttp lets it. */
const HEAD =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +([\x21-\x7e\x80-\xff]+) +HTTP\/1\.([01])((?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*)\r\n\r\n/;
/** Extensions without a name or a value mean nothing, and llhttp lets them pass. */
const CHUNK =
  /^([0-9A-Fa-f]{1,8})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]*(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]*|"[^"\\\0-\x08\x0a-\x1f\x7f]*"))?)*\r\n/;
const TRAILERS = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/;

/** Reads everything that a client sent on one connection, latin1. */
export function readStrictly(text: string): Reading {
  const whole: StrictRequest[] = [];
  let rest = text;
  for (;;) {
    rest = rest.replace(/^[\r\n]+/, ""); // empty lines before a request mean nothing (RFC 9112, section 2.2)
    if (rest === "") return { whole, begun: undefined, rest };
    const head = headOf(rest);
    if (head === undefined) return { whole, begun: undefined, rest };
    const after = rest.slice(head.length);
    const body = head.chunked ? chunkedBody(after) : lengthBody(after, head.contentLength);
    const { method, target, host, keepAlive } = head;
    if (body === undefined) return { whole, begun: { method, target, host, keepAlive }, rest };
    whole.push({ method, target, host, keepAlive, body: body.text });
    rest = after.slice(body.length);
    if (!keepAlive) return { whole, begun: undefined, rest };
  }
}

function headOf(text: string) {
  const match = HEAD.exec(text);
  if (!match) return undefined;
  const [all, method = "", target = "", minor, lines = ""] = match;
  const fields = lines
    .split("\r\n")
    .slice(1)
    .map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "")];
    });
  const valuesOf = (name: string) => fields.filter(([key]) => key === name).map(([, value]) => value);
  const hosts = valuesOf("host");
  const lengths = valuesOf("content-length");
  const codings = valuesOf("transfer-encoding");
  if (lengths.length > 1 || (lengths[0] !== undefined && !/^\d{1,15}$/.test(lengths[0]))) return undefined;
  if (codings.length > 1 || (codings[0] !== undefined && codings[0].toLowerCase() !== "chunked")) return undefined;
  if (codings.length > 0 && (lengths.length > 0 || minor === "0")) return undefined;
  const options = valuesOf("connection").flatMap((value) =>
    value
      .toLowerCase()
      .split(",")
      .map((part) => part.trim()),
  );
  return {
    length: all.length,
    method,
    target,
    host: hosts.length === 1 ? (hosts[0] as string).toLowerCase() : "",
    chunked: codings.length > 0,
    contentLength: Number(lengths[0] ?? 0),
    keepAlive: minor === "1" ? !options.includes("close") : options.includes("keep-alive"),
  };
}

function lengthBody(text: string, length: number): { text: string; length: number } | undefined {
  return text.length < length ? undefined : { text: text.slice(0, length), length };
}

function chunkedBody(text: string): { text: string; length: number } | undefined {
  let at = 0;
  let body = "";
  for (;;) {
    const match = CHUNK.exec(text.slice(at));
    if (!match) return undefined;
    at += match[0].length;
    const size = Number.parseInt(match[1] ?? "", 16);
    if (size === 0) break;
    if (text.slice(at + size, at + size + 2) !== "\r\n") return undefined;
    body += text.slice(at, at + size);
    at += size + 2;
  }
  const trailers = TRAILERS.exec(text.slice(at));
  return trailers === null ? undefined : { text: body, length: at + trailers[0].length };
}
