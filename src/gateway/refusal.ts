/** What the gateway answers itself: problem details (RFC 9457) that carry their code in `appctl-gateway` too. */
import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { GATEWAY_HEADER, PLATFORM_RESTARTING } from "../contract/headers.ts";
import type { Problem } from "../contract/types.ts";

/** An answer of the gateway's own. `fields` are flat: name and value in turn. */
export interface Refusal {
  status: number;
  /** Stable name in UPPER_SNAKE_CASE. */
  code: string;
  detail: string;
  hint?: string;
  fields?: readonly string[];
  /** The connection cannot carry another request: where this one ends is not certain. */
  close?: boolean;
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** The host belongs to no app. */
export function noSuchApp(host: string): Refusal {
  return { status: 404, code: "NO_SUCH_APP", detail: `no app has the address ${host}` };
}

/** The request names no host, or none that can be read. */
export function noHost(): Refusal {
  return { status: 400, code: "NO_HOST", detail: "the Host header is missing or malformed", close: true };
}

/** The platform, behind the gateway, does not answer; it is being started again. */
export function platformAway(): Refusal {
  return {
    status: 503,
    code: PLATFORM_RESTARTING,
    detail: "the platform is being started again; apps go on",
    fields: ["retry-after", "1"],
  };
}

/** The app's owner has stopped it. */
export function appStopped(app: string): Refusal {
  return { status: 503, code: "APP_STOPPED", detail: `the app ${app} is stopped` };
}

/** Code of {@link noReplica}. */
export const NO_REPLICA = "NO_REPLICA";

/** No replica is ready; the next moment may have one. */
export function noReplica(app: string): Refusal {
  return {
    status: 503,
    code: NO_REPLICA,
    detail: `the app ${app} has no ready replica`,
    fields: ["retry-after", "1"],
  };
}

/** The replica broke before it had sent a response head. `reason` goes on after "the replica …". */
export function badGateway(app: string, reason: string): Refusal {
  return { status: 502, code: "BAD_GATEWAY", detail: `the replica of the app ${app} ${reason}` };
}

/** The replica sent no response head in time. */
export function gatewayTimeout(app: string, timeoutMs: number): Refusal {
  return {
    status: 504,
    code: "GATEWAY_TIMEOUT",
    detail: `the app ${app} sent no response within its request time-out of ${timeoutMs / 1000} s`,
  };
}

/** The caller has no key (401), or one that is not enough (403). */
export function notAuthorized(
  verdict: { status: 401 | 403; code: string; detail: string },
  authorization: string | undefined,
): Refusal {
  // RFC 6750, section 3: no error code when the request had no credentials at all.
  const error =
    verdict.status === 403 ? ', error="insufficient_scope"' : authorization ? ', error="invalid_token"' : "";
  return {
    status: verdict.status,
    code: verdict.code,
    detail: verdict.detail,
    fields: ["www-authenticate", `Bearer realm="appctl"${error}`],
  };
}

/** The request cannot be read in one way only, so it is not forwarded. */
export function badRequest(detail: string): Refusal {
  return { status: 400, code: "BAD_REQUEST", detail, close: true };
}

/** Sends `refusal` as the response. The request's body, if one is still coming, is read and dropped by node:http. */
export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  const body = bodyOf(refusal);
  const fields = fieldsOf(refusal, body);
  if (refusal.close) fields.push("connection", "close");
  response.writeHead(refusal.status, TITLES[refusal.status] ?? "Error", fields);
  response.end(body);
}

/** Sends `refusal` on a connection that no longer belongs to node:http, and ends it. */
export function writeRefusal(socket: Duplex, refusal: Refusal): void {
  const body = bodyOf(refusal);
  let head = `HTTP/1.1 ${refusal.status} ${TITLES[refusal.status] ?? "Error"}\r\n`;
  const fields = fieldsOf(refusal, body);
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  socket.end(`${head}date: ${new Date().toUTCString()}\r\nconnection: close\r\n\r\n${body}`);
  socket.resume(); // what still comes is dropped: unread, it would keep the connection from ever closing
}

/** True while node:http has a response under way on `socket`. */
export function isAnswering(socket: Duplex): boolean {
  return responseOn(socket) !== undefined;
}

function responseOn(socket: Duplex): ServerResponse | undefined {
  return (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}

/**
 * Answers a connection on which node:http could not read a request: mount it on the server's `clientError`. A response
 * that has begun is cut instead, since nothing may follow its bytes.
 */
export function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET" || responseOn(socket)?.headersSent) {
    socket.destroy();
    return;
  }
  const refusals: Record<string, Refusal> = {
    HPE_HEADER_OVERFLOW: { status: 431, code: "HEAD_TOO_LONG", detail: "the request's head is too long" },
    HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, code: "CHUNK_TOO_LONG", detail: "a chunk extension is too long" },
    ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: "REQUEST_TIMEOUT", detail: "the request did not come in time" },
  };
  writeRefusal(socket, refusals[error.code ?? ""] ?? badRequest("the request is not valid HTTP/1.1"));
}

function bodyOf(refusal: Refusal): string {
  const problem: Problem = {
    type: `urn:appctl:problem:${refusal.code.toLowerCase().replaceAll("_", "-")}`,
    title: TITLES[refusal.status] ?? "Error",
    status: refusal.status,
    detail: refusal.detail,
    code: refusal.code,
    ...(refusal.hint === undefined ? {} : { hint: refusal.hint }),
  };
  return `${JSON.stringify(problem)}\n`;
}

function fieldsOf(refusal: Refusal, body: string): string[] {
  return [
    "content-type",
    "application/problem+json",
    "content-length",
    String(Buffer.byteLength(body)),
    "cache-control",
    "no-store",
    GATEWAY_HEADER,
    refusal.code,
    ...(refusal.fields ?? []),
  ];
}
