/** One request and its response, streamed through. */
import type { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { REVISION_HEADER } from "../contract/headers.ts";
import type { Lease } from "../core/lease.ts";
import { endToEndTrailers } from "./fields.ts";
import { badGateway, gatewayTimeout, type Refusal, sendRefusal } from "./refusal.ts";
import { hasBody, type RequestFacts } from "./request-head.ts";
import type { Route } from "./route.ts";
import type { ResponseHandler, UpstreamConnection } from "./upstream/connection.ts";
import type { UpstreamPool } from "./upstream/pool.ts";
import { Framing, MalformedResponse, type ResponseHead } from "./upstream/response-head.ts";
import { writeCopy } from "./write-copy.ts";

/** What an exchange works with. */
export interface ExchangeParts {
  request: IncomingMessage;
  response: ServerResponse;
  route: Route;
  lease: Lease;
  facts: RequestFacts;
  /** Head for the replica. */
  head: string;
  pool: UpstreamPool;
}

/** Up to this size head and body leave as one latin1 string, in one write; node sends such strings without allocating. */
const ONE_WRITE_BYTES = 12 * 1024;
/** Sending these twice does what sending them once does: RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Streams one request to a replica and its response back; see {@link startExchange}. */
class Exchange implements ResponseHandler {
  readonly #parts: ExchangeParts;
  readonly #hasBody: boolean;
  #connection: UpstreamConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** A head that has come but not yet left: it waits for the body bytes of the same read. */
  #head: ResponseHead | undefined;
  /** A small whole body, until the response's end has been seen. */
  #whole: string | undefined;
  #listensForDrain = false;
  #over = false;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#hasBody = hasBody(parts.facts);
    const { response, route } = parts;
    response.on("close", () => this.#finish()); // the client has left; or, after a whole response, nothing is left to do
    this.#timer = setTimeout(
      () => this.#refuse(gatewayTimeout(route.app, route.requestTimeoutMs)),
      route.requestTimeoutMs,
    );
    this.#send(false);
    if (this.#hasBody) this.#sendBody();
  }

  onInformation(head: ResponseHead): void {
    if (head.status === 100 && this.#parts.facts.expectsContinue) this.#parts.response.writeContinue();
  }

  onHead(head: ResponseHead): void {
    clearTimeout(this.#timer);
    this.#head = head;
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    const { response } = this.#parts;
    const head = this.#head;
    if (head !== undefined) {
      if (head.framing === Framing.length && head.length === end - start && head.length <= ONE_WRITE_BYTES) {
        this.#whole = buffer.toString("latin1", start, end);
        return;
      }
      this.#writeHead(head);
    }
    if (writeCopy(response, buffer, start, end) || this.#over) return;
    this.#connection?.pause();
    if (this.#listensForDrain) return;
    this.#listensForDrain = true;
    response.on("drain", () => this.#connection?.resume());
  }

  onPause(): void {
    const head = this.#head;
    if (head === undefined) return;
    // A head without body bytes yet: an event stream's, for example. The client gets it now.
    this.#writeHead(head);
    // Not flushHeaders(): that one sends the head in UTF-8, so a field's latin1 bytes would change.
    this.#parts.response.write("", "latin1");
  }

  onEnd(trailers: string[]): void {
    const { response } = this.#parts;
    this.#connection = undefined;
    const head = this.#head;
    if (head !== undefined) this.#writeHead(head);
    if (this.#whole !== undefined) response.end(this.#whole, "latin1");
    else {
      if (trailers.length > 0) {
        const kept = endToEndTrailers(trailers);
        const pairs: [string, string][] = [];
        for (let i = 0; i + 1 < kept.length; i += 2) pairs.push([kept[i] as string, kept[i + 1] as string]);
        response.addTrailers(pairs);
      }
      response.end();
    }
    this.#finish();
  }

  onDrain(): void {
    this.#parts.request.resume();
  }

  onFailure(error: Error, untouched: boolean): void {
    this.#connection = undefined;
    const { facts, response, route } = this.#parts;
    if (untouched && !this.#hasBody && !this.#over && IDEMPOTENT.has(facts.method)) {
      this.#send(true);
      return;
    }
    if (route.away && isRefused(error)) this.#refuse(route.away());
    else if (!route.away && !response.headersSent && this.#head === undefined)
      this.#refuse(badGateway(route.app, reasonOf(error)));
    else {
      this.#finish();
      breakOff(response);
    }
  }

  #send(fresh: boolean): void {
    const { facts, head, lease, pool } = this.#parts;
    const connection = pool.take(lease.address, fresh);
    this.#connection = connection;
    connection.send(head, { toHead: facts.method === "HEAD", toUpgrade: false, hasBody: this.#hasBody }, this);
  }

  #sendBody(): void {
    const { request, facts } = this.#parts;
    const { chunked } = facts;
    request.on("data", (bytes: Buffer) => {
      const connection = this.#connection;
      if (connection === undefined) return; // answered already: the rest is read and dropped
      if (!(chunked ? connection.writeChunk(bytes) : connection.write(bytes))) request.pause();
    });
    request.on("end", () => this.#connection?.endRequest(chunked ? lastChunk(request.rawTrailers) : undefined));
  }

  #writeHead(head: ResponseHead): void {
    const { request, response, lease } = this.#parts;
    this.#head = undefined;
    const { fields } = head;
    if (lease.revision !== "") fields.push(REVISION_HEADER, lease.revision);
    // Announced trailers can only follow a chunked body, and HTTP/1.0 has none.
    if (head.trailer !== undefined && head.framing === Framing.chunked && request.httpVersionMinor > 0) {
      fields.push("trailer", head.trailer);
    }
    response.writeHead(head.status, head.reason, fields);
  }

  #refuse(refusal: Refusal): void {
    if (this.#over) return;
    this.#finish();
    sendRefusal(this.#parts.response, refusal);
  }

  /** Ends the part of the replica: exactly once, on every way out. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#connection?.destroy();
    this.#connection = undefined;
    // A paused upload would keep the client's connection from its next request.
    if (this.#hasBody) this.#parts.request.resume();
    this.#parts.lease.release();
  }
}

/** Starts an exchange. It releases the lease exactly once, when the replica's part in it is over. */
export function startExchange(parts: ExchangeParts): void {
  new Exchange(parts);
}

/** The end of a chunked request body, with the trailers that may go on. */
function lastChunk(rawTrailers: readonly string[]): string {
  if (rawTrailers.length === 0) return "0\r\n\r\n";
  const kept = endToEndTrailers(rawTrailers);
  let text = "0\r\n";
  for (let i = 0; i + 1 < kept.length; i += 2) text += `${kept[i]}: ${kept[i + 1]}\r\n`;
  return `${text}\r\n`;
}

/** Shows the client that the response was cut. */
function breakOff(response: ServerResponse): void {
  const { socket } = response;
  // A body that ends with the connection looks whole after an orderly close; only a reset says that it is not.
  if (socket !== null && !response.shouldKeepAlive && !response.chunkedEncoding && "resetAndDestroy" in socket) {
    socket.resetAndDestroy();
  } else response.destroy();
}

/** True when nobody listens: the request has reached nothing. */
function isRefused(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" || code === "ENOENT";
}

/** Why the replica gave no answer, to follow "the replica …". System messages stay out: they hold paths and addresses. */
export function reasonOf(error: Error): string {
  if (error instanceof MalformedResponse) return `sent a response that is not valid: ${error.message}`;
  const code = (error as NodeJS.ErrnoException).code;
  if (isRefused(error)) return `does not listen (${code})`;
  return `closed the connection before it answered${code === undefined ? "" : ` (${code})`}`;
}
