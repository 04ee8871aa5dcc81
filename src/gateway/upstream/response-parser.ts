/** Incremental parser of HTTP/1.1 responses. It keeps no body bytes: each read's are handed on before the next is asked for. */
import type { Buffer } from "node:buffer";
import { LIMITS } from "../../contract/limits.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import { Framing, MalformedResponse, parseResponseHead, type ResponseHead } from "./response-head.ts";

/** Longest head that a replica may send, in bytes. */
export const MAX_HEAD_BYTES = LIMITS.responseHeadBytes.value;

/** Takes what a {@link ResponseParser} finds. */
export interface ResponseSink {
  /** An interim (1xx) response. */
  onInformation(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  /** Body bytes `buffer[start..end)`, without framing. The buffer is used again as soon as this returns. */
  onBody(buffer: Buffer, start: number, end: number): void;
}

const PREFIX = "HTTP/1.";
const State = { head: 0, length: 1, chunked: 2, untilClose: 3, tunnel: 4, complete: 5, stopped: 6 } as const;
type State = (typeof State)[keyof typeof State];

/** Reads one response after another from a connection. */
export class ResponseParser {
  #state: State = State.complete;
  #toHead = false;
  #toUpgrade = false;
  #remaining = 0;
  #head: ResponseHead | undefined;
  /** The beginning of a head that came in more than one read. */
  #partial = "";
  /** Its last 3 characters. */
  #tail = "";
  readonly #chunks = new ChunkedDecoder();

  /** Prepares for the response to the next request. */
  expect(request: { toHead: boolean; toUpgrade: boolean }): void {
    this.#state = State.head;
    this.#toHead = request.toHead;
    this.#toUpgrade = request.toUpgrade;
    this.#head = undefined;
    this.#partial = "";
    this.#tail = "";
  }

  /** True when the response is over. */
  get complete(): boolean {
    return this.#state === State.complete;
  }

  /** True when the connection can carry another exchange, as far as the response tells. */
  get reusable(): boolean {
    return this.#state === State.complete && this.#head?.keepAlive === true;
  }

  /** True after a 101: bytes are no longer HTTP. */
  get tunnel(): boolean {
    return this.#state === State.tunnel;
  }

  /** Trailer fields of a complete response, flat. */
  get trailers(): string[] {
    return this.#head?.framing === Framing.chunked ? this.#chunks.trailers : [];
  }

  /** The final head, once it has come. */
  get head(): ResponseHead | undefined {
    return this.#head;
  }

  /** Hands on nothing more, even from the middle of {@link execute}. */
  stop(): void {
    this.#state = State.stopped;
    this.#chunks.stop();
  }

  /**
   * Reads `buffer[0..end)` and returns how much of it belongs to this response: less than `end` when more follows the
   * response's last byte. Throws {@link MalformedResponse}.
   */
  execute(buffer: Buffer, end: number, sink: ResponseSink): number {
    let at = 0;
    while (at < end) {
      switch (this.#state) {
        case State.head:
          at = this.#readHead(buffer, at, end, sink);
          break;
        case State.length: {
          const stop = end - at > this.#remaining ? at + this.#remaining : end;
          this.#remaining -= stop - at;
          if (this.#remaining === 0) this.#state = State.complete;
          sink.onBody(buffer, at, stop);
          at = stop;
          break;
        }
        case State.chunked:
          at = this.#chunks.execute(buffer, at, end, sink);
          if (this.#chunks.complete && this.#state === State.chunked) this.#state = State.complete;
          break;
        case State.untilClose:
        case State.tunnel:
          sink.onBody(buffer, at, end);
          at = end;
          break;
        default:
          return at;
      }
    }
    return at;
  }

  /** The replica has closed its side. Returns whether that was the end of the response; else it was cut. */
  finish(): boolean {
    if (this.#state === State.untilClose) this.#state = State.complete;
    return this.#state === State.complete;
  }

  #readHead(buffer: Buffer, start: number, end: number, sink: ResponseSink): number {
    const before = this.#partial.length;
    let text: string;
    let after: number;
    if (before === 0) {
      after = endOfHead(buffer, start, end);
      if (after < 0) return this.#keep(buffer.toString("latin1", start, end), end);
      text = buffer.toString("latin1", start, after - 4);
    } else {
      const piece = buffer.toString("latin1", start, end);
      // The empty line may begin in what is already there; only its last 3 characters matter for that.
      const seen = this.#tail.length;
      const found = (this.#tail + piece).indexOf("\r\n\r\n");
      if (found < 0) return this.#keep(piece, end);
      after = start + found + 4 - seen;
      text = (this.#partial + piece).slice(0, before - seen + found);
      this.#partial = "";
      this.#tail = "";
    }
    if (text.length + 4 > MAX_HEAD_BYTES) throw tooLong();
    this.#take(parseResponseHead(text, this.#toHead), sink);
    return after;
  }

  #keep(piece: string, end: number): number {
    const fresh = this.#partial.length < PREFIX.length;
    // A rope: V8 joins it only when it is read, so a head that comes byte by byte costs no more than one that does not.
    this.#partial += piece;
    this.#tail = (this.#tail + piece).slice(-3);
    if (this.#partial.length >= MAX_HEAD_BYTES) throw tooLong();
    // Bytes that can never become a response are refused at once, not when the request times out.
    if (fresh && !PREFIX.startsWith(this.#partial.slice(0, PREFIX.length))) {
      throw new MalformedResponse("it does not begin with HTTP/1");
    }
    return end;
  }

  #take(head: ResponseHead, sink: ResponseSink): void {
    if (head.status < 200 && head.status !== 101) {
      // HTTP/1.0 knows none of them, and after `close` nothing may follow: then what follows is nobody's answer.
      if (!head.keepAlive) throw new MalformedResponse("it follows an interim response that ends the connection");
      sink.onInformation(head);
      return;
    }
    if (head.status === 101 && !this.#toUpgrade)
      throw new MalformedResponse("it changes protocols without being asked");
    this.#head = head;
    if (head.status === 101) this.#state = State.tunnel;
    else if (head.framing === Framing.none) this.#state = State.complete;
    else if (head.framing === Framing.untilClose) this.#state = State.untilClose;
    else if (head.framing === Framing.chunked) {
      this.#chunks.reset();
      this.#state = State.chunked;
    } else {
      this.#remaining = head.length;
      this.#state = State.length;
    }
    sink.onHead(head);
  }
}

function tooLong(): MalformedResponse {
  return new MalformedResponse(`its head is longer than ${MAX_HEAD_BYTES} bytes`);
}

/**
 * Index after the empty line in `buffer[start..end)`, or -1. It looks at every fourth byte: one that is neither CR nor
 * LF cannot be part of CR LF CR LF, so the next that matters is four further.
 */
function endOfHead(buffer: Buffer, start: number, end: number): number {
  let at = start + 3;
  while (at < end) {
    const byte = buffer[at];
    if (byte === 0x0a) {
      if (buffer[at - 1] === 0x0d && buffer[at - 2] === 0x0a && buffer[at - 3] === 0x0d) return at + 1;
      at += 2;
    } else if (byte === 0x0d) at += 1;
    else at += 4;
  }
  return -1;
}
