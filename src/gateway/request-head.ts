/** What a client's request head says, and the head that goes to the replica in its place. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { REPLICA_TOKEN_HEADER } from "../contract/headers.ts";
import { LIMITS } from "../contract/limits.ts";
import { CONTENT_LENGTH } from "./content-length.ts";
import { connectionHas, Field, fieldOf, nominatedBy } from "./fields.ts";
import { badRequest, type Refusal } from "./refusal.ts";

/** A request, reduced to what matters to the gateway and to the replica. */
export interface RequestFacts {
  /** Method and origin-form target. */
  method: string;
  target: string;
  /** End-to-end fields as text, `name: value` CR LF each; Host and Authorization are not among them. */
  fields: string;
  /** The Host field as it came; empty when there is none (HTTP/1.0). */
  host: string;
  /** The Authorization field, `undefined` when there is none. */
  authorization: string | undefined;
  /** The one-use token of `appctl-probe`. */
  probe: string | undefined;
  requestId: string | undefined;
  /** Value of Content-Length; it goes on as it came. */
  contentLength: string | undefined;
  chunked: boolean;
  /** Names of trailer fields that the client announced. */
  trailer: string | undefined;
  /** The client waits for 100 before it sends the body. */
  expectsContinue: boolean;
  /** Protocol that the client wants to change to. */
  upgrade: string | undefined;
}

/** More fields than any honest client sends; node:http drops those beyond 1000 without a word. */
const MAX_FIELDS = LIMITS.requestFields.value;
const REQUEST_ID = /^[A-Za-z0-9._~:+/=@-]{1,128}$/;

/** True when the request has, or may have, a body. */
export function hasBody(facts: RequestFacts): boolean {
  return facts.chunked || (facts.contentLength !== undefined && Number(facts.contentLength) > 0);
}

/**
 * Reads the head of `request`. llhttp has refused most of what can be read in two ways (two lengths, both framings, folded
 * lines); what it lets through is refused here. `host` is the host name by which the request was routed.
 */
export function readRequest(request: IncomingMessage, host: string): RequestFacts | Refusal {
  // llhttp takes a request line without a version for HTTP/0.9, with fields and all, and HTTP/2.0 for a version as any.
  if (request.httpVersionMajor !== 1) return badRequest("the request is neither HTTP/1.1 nor HTTP/1.0");
  const raw = request.rawHeaders;
  if (raw.length > 2 * MAX_FIELDS) {
    return {
      status: 431,
      code: "TOO_MANY_FIELDS",
      detail: `the request has more than ${MAX_FIELDS} header fields`,
      close: true,
    };
  }
  const facts: RequestFacts = {
    method: request.method ?? "GET",
    target: request.url ?? "/",
    fields: "",
    host: "",
    authorization: undefined,
    probe: undefined,
    requestId: undefined,
    contentLength: undefined,
    chunked: false,
    trailer: undefined,
    expectsContinue: false,
    upgrade: undefined,
  };
  let fields = "";
  let hosts = 0;
  let connection: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    switch (fieldOf(name)) {
      case Field.other:
        fields += `${name}: ${value}\r\n`;
        break;
      case Field.host:
        hosts++;
        facts.host = value;
        break;
      case Field.connection:
        connection = connection === undefined ? value : `${connection}, ${value}`;
        break;
      case Field.authorization:
        if (facts.authorization !== undefined) return badRequest("the request has more than one Authorization field");
        facts.authorization = value;
        break;
      case Field.contentLength:
        if (facts.contentLength !== undefined || !CONTENT_LENGTH.test(value)) {
          return badRequest("the request has more than one Content-Length, or one that is not a number");
        }
        facts.contentLength = value;
        break;
      case Field.transferEncoding:
        if (facts.chunked || request.httpVersionMinor === 0) {
          return badRequest("the request's Transfer-Encoding leaves open where its body ends");
        }
        if (value.toLowerCase() !== "chunked") {
          return {
            status: 501,
            code: "TRANSFER_CODING_UNSUPPORTED",
            detail: `the transfer coding "${value}" is not supported; only "chunked" is`,
            close: true,
          };
        }
        facts.chunked = true;
        break;
      case Field.trailer:
        facts.trailer = facts.trailer === undefined ? value : `${facts.trailer}, ${value}`;
        break;
      case Field.expect:
        // HTTP/1.0 clients know no interim responses: RFC 9110, section 10.1.1.
        facts.expectsContinue = value.toLowerCase() === "100-continue" && request.httpVersionMinor > 0;
        break;
      case Field.requestId:
        if (facts.requestId === undefined && REQUEST_ID.test(value)) facts.requestId = value;
        break;
      case Field.probe:
        facts.probe ??= value;
        break;
      case Field.upgrade:
        facts.upgrade = value;
        break;
      default: // hop-by-hop, forwarded, reserved: they end here
        break;
    }
  }
  if (hosts > 1) return badRequest("the request has more than one Host field");
  if (facts.chunked && facts.contentLength !== undefined) {
    return badRequest("the request has both a Content-Length and a Transfer-Encoding");
  }
  if (facts.target.charCodeAt(0) !== 0x2f /* / */) {
    const target = originForm(facts, host);
    if (target === undefined) return badRequest("the request's target is neither a path nor a URL of its Host");
    facts.target = target;
  }
  if (connection !== undefined) {
    const nominated = nominatedBy(connection, undefined);
    if (nominated !== undefined && nominated.length > 0) fields = without(raw, nominated);
    if (facts.upgrade !== undefined && !connectionHas(connection, "upgrade")) facts.upgrade = undefined;
  } else facts.upgrade = undefined;
  facts.fields = fields;
  return facts;
}

/** What the gateway adds to a request. */
export interface HeadAdditions {
  routedHost: string;
  clientAddress: string | undefined;
  publicProto: string;
  replicaToken: string | undefined;
  /** Whether the app gets the client's Authorization. */
  passAuthorization: boolean;
  /** Protocol to ask the replica for. */
  upgrade: string | undefined;
}

/** The head of the request to the replica: latin1 text with its empty line. */
export function replicaHead(facts: RequestFacts, add: HeadAdditions): string {
  const host = facts.host === "" ? add.routedHost : facts.host;
  let head = `${facts.method} ${facts.target} HTTP/1.1\r\nhost: ${host}\r\n${facts.fields}`;
  if (add.passAuthorization && facts.authorization !== undefined) head += `authorization: ${facts.authorization}\r\n`;
  if (facts.contentLength !== undefined) head += `content-length: ${facts.contentLength}\r\n`;
  else if (facts.chunked) {
    head += "transfer-encoding: chunked\r\n";
    if (facts.trailer !== undefined) head += `trailer: ${facts.trailer}\r\n`;
  }
  if (facts.expectsContinue) head += "expect: 100-continue\r\n";
  if (add.upgrade !== undefined) head += `connection: upgrade\r\nupgrade: ${add.upgrade}\r\n`;
  if (add.clientAddress !== undefined) head += `x-forwarded-for: ${plainAddress(add.clientAddress)}\r\n`;
  if (add.replicaToken !== undefined) head += `${REPLICA_TOKEN_HEADER}: ${add.replicaToken}\r\n`;
  return `${head}x-forwarded-proto: ${add.publicProto}\r\nx-forwarded-host: ${host}\r\nx-request-id: ${facts.requestId ?? randomUUID()}\r\n\r\n`;
}

/** An IPv4 client of a dual-stack listener is written as IPv4. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** The fields that pass, without those that Connection names: the rare case, so it may go over them again. */
function without(raw: readonly string[], nominated: readonly string[]): string {
  let fields = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (fieldOf(name) === Field.other && !nominated.includes(name.toLowerCase()))
      fields += `${name}: ${raw[i + 1]}\r\n`;
  }
  return fields;
}

/**
 * The path of an absolute-form target (RFC 9112, section 3.2.2), or `*` of OPTIONS. Undefined when it names another host
 * than the one by which the request was routed: the app must not get a different one.
 */
function originForm(facts: RequestFacts, host: string): string | undefined {
  if (facts.target === "*") return facts.method === "OPTIONS" ? "*" : undefined;
  const match = /^https?:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(facts.target);
  if (match === null) return undefined;
  const authority = (match[1] as string).toLowerCase();
  if (authority !== facts.host.toLowerCase() && authority !== host) return undefined;
  const rest = match[2] ?? "/";
  return rest.startsWith("?") ? `/${rest}` : rest;
}
