/** The chunked transfer coding (RFC 9112, section 7.1), decoded without keeping a byte of the body. */
import type { Buffer } from "node:buffer";
import { MalformedResponse, parseTrailerLine } from "./response-head.ts";

/** Longest chunk extension, and longest trailer section, in bytes. */
export const MAX_CHUNK_EXTENSION_BYTES = 4 * 1024;
const MAX_TRAILER_BYTES = 64 * 1024;
/** 12 hex digits: 256 TiB, and exact in a double. */
const MAX_SIZE_DIGITS = 12;

const State = {
  size: 0,
  blank: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailer: 7,
  complete: 8,
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
        case State.blank:
          at++;
          // White space may only lead to an extension or to nothing: "5 5" is no size.
          if (byte === 0x3b) this.#state = State.extension;
          else if (byte === 0x0d) this.#state = State.sizeLf;
          else if (!isBlank(byte)) throw new MalformedResponse("a chunk size has white space in it");
          else this.#countExtension();
          break;
        case State.extension:
          at++;
          if (byte === 0x0d) this.#state = State.sizeLf;
          else if (isControl(byte)) throw new MalformedResponse("a chunk extension has a control character in it");
          else this.#countExtension();
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
        default:
          return at;
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
    else if (byte === 0x3b /* ; */) this.#state = State.extension;
    else if (isBlank(byte)) this.#state = State.blank;
    else throw new MalformedResponse("a chunk size is not a hexadecimal number");
  }

  #countExtension(): void {
    if (++this.#extension > MAX_CHUNK_EXTENSION_BYTES) {
      throw new MalformedResponse(`a chunk extension is longer than ${MAX_CHUNK_EXTENSION_BYTES} bytes`);
    }
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

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
}
