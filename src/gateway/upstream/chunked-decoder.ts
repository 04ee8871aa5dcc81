/** The chunked transfer coding (RFC 9112, section 7.1), decoded without keeping a byte of the body. */
import { Buffer } from "node:buffer";
import { MalformedResponse, parseTrailerLine } from "./response-head.ts";

/** Longest chunk extension, and longest trailer section, in bytes. */
export const MAX_CHUNK_EXTENSION_BYTES = 4 * 1024;
const MAX_TRAILER_BYTES = 64 * 1024;
/** 12 hex digits: 256 TiB, and exact in a double. */
const MAX_SIZE_DIGITS = 12;

const TOKEN = new Uint8Array(0x80);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
  TOKEN[byte] = 1;

const State = {
  size: 0,
  sizeLf: 1,
  data: 2,
  dataCr: 3,
  dataLf: 4,
  trailer: 5,
  complete: 6,
  // A chunk extension: `;name`, `;name=token` or `;name="quoted text"`. None is handed on.
  nameStart: 7,
  name: 8,
  valueStart: 9,
  value: 10,
  quoted: 11,
  escaped: 12,
  quotedEnd: 13,
} as const;
type State = (typeof State)[keyof typeof State];

/** Decodes one chunked body. */
export class ChunkedDecoder {
  #state: State = State.size;
  #size = 0;
  #digits = 0;
  #extension = 0;
  #trailer = "";
  #trailerBytes = 0;
  /** Trailer fields so far, flat: name and value in turn. */
  trailers: string[] = [];

  /** Starts over for another body. */
  reset(): void {
    this.#state = State.size;
    this.#size = 0;
    this.#digits = 0;
    this.#extension = 0;
    this.#trailer = "";
    this.#trailerBytes = 0;
    this.trailers = [];
  }

  /** Hands on nothing more, even from the middle of {@link execute}. */
  stop(): void {
    this.#state = State.complete;
  }

  /** True when the last chunk and the trailer section are over. */
  get complete(): boolean {
    return this.#state === State.complete;
  }

  /**
   * Reads `buffer[start..end)` and returns where it stopped: `end`, or less when the body is over. Throws
   * {@link MalformedResponse} for anything but the exact grammar: sizes of hex digits only, CR LF after each part.
   */
  execute(
    buffer: Buffer,
    start: number,
    end: number,
    sink: { onBody(buffer: Buffer, start: number, end: number): void },
  ): number {
    let at = start;
    while (at < end) {
      const byte = buffer[at] as number;
      switch (this.#state) {
        case State.size:
          at++;
          this.#onSizeByte(byte);
          break;
        case State.sizeLf:
          at++;
          if (byte !== 0x0a) throw new MalformedResponse("a chunk size is not followed by CR LF");
          this.#state = this.#size === 0 ? State.trailer : State.data;
          break;
        case State.data: {
          const stop = end - at > this.#size ? at + this.#size : end;
          this.#size -= stop - at;
          if (this.#size === 0) this.#state = State.dataCr;
          sink.onBody(buffer, at, stop);
          at = stop;
          break;
        }
        case State.dataCr:
          at++;
          if (byte !== 0x0d) throw new MalformedResponse("a chunk is longer than its size");
          this.#state = State.dataLf;
          break;
        case State.dataLf:
          at++;
          if (byte !== 0x0a) throw new MalformedResponse("a chunk is not followed by CR LF");
          this.#state = State.size;
          this.#digits = 0;
          this.#extension = 0;
          break;
        case State.trailer:
          at++;
          this.#onTrailerByte(byte);
          break;
        case State.complete:
          return at;
        default:
          at++;
          this.#state = this.#afterExtensionByte(byte);
      }
    }
    return at;
  }

  #onSizeByte(byte: number): void {
    const digit = hexValue(byte);
    if (digit >= 0) {
      if (++this.#digits > MAX_SIZE_DIGITS) throw new MalformedResponse("a chunk size is too large");
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new MalformedResponse("a chunk size is missing");
    if (byte === 0x0d) this.#state = State.sizeLf;
    else if (byte === 0x3b /* ; */) this.#state = State.nameStart;
    else throw new MalformedResponse("a chunk size is not a hexadecimal number");
  }

  /**
   * The grammar without the white space that RFC 9112, section 7.1.1 lets a lenient reader pass over: where a line that is
   * hardly one ends, readers have differed, and with it where the chunk begins.
   */
  #afterExtensionByte(byte: number): State {
    if (++this.#extension > MAX_CHUNK_EXTENSION_BYTES) {
      throw new MalformedResponse(`a chunk extension is longer than ${MAX_CHUNK_EXTENSION_BYTES} bytes`);
    }
    const state = this.#state;
    if (state === State.quoted && byte === 0x22 /* " */) return State.quotedEnd;
    if (state === State.quoted && byte === 0x5c /* \ */) return State.escaped;
    if (state === State.quoted || state === State.escaped) {
      if (!isControl(byte)) return State.quoted;
    } else if (state !== State.quotedEnd && isToken(byte)) {
      return state === State.nameStart || state === State.name ? State.name : State.value;
    } else if (state === State.name && byte === 0x3d /* = */) {
      return State.valueStart;
    } else if (state === State.valueStart && byte === 0x22) {
      return State.quoted;
    } else if (state !== State.nameStart && state !== State.valueStart) {
      if (byte === 0x0d) return State.sizeLf;
      if (byte === 0x3b) return State.nameStart;
    }
    throw new MalformedResponse("a chunk extension breaks the grammar of HTTP/1.1");
  }

  #onTrailerByte(byte: number): void {
    if (++this.#trailerBytes > MAX_TRAILER_BYTES) {
      throw new MalformedResponse(`its trailer section is longer than ${MAX_TRAILER_BYTES} bytes`);
    }
    if (byte !== 0x0a) {
      this.#trailer += String.fromCharCode(byte);
      return;
    }
    if (!this.#trailer.endsWith("\r")) throw new MalformedResponse("its trailer section has a bare LF");
    const line = this.#trailer.slice(0, -1);
    this.#trailer = "";
    if (line === "") this.#state = State.complete;
    else this.trailers.push(...parseTrailerLine(line));
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isToken(byte: number): boolean {
  return byte < 0x80 && TOKEN[byte] === 1;
}

function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
}
