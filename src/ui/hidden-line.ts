/** The bytes that a terminal in raw mode sends, read as one line of input that nobody sees. */

/** What a chunk of input led to. `rest` is what came after the end: the next prompt's. */
export type LineResult =
  | { type: "more" }
  | { type: "done"; value: Uint8Array; rest: Uint8Array }
  | { type: "interrupted" }
  | { type: "cancelled" }
  | { type: "too-long" };

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const CTRL_U = 0x15;
const CTRL_W = 0x17;
const ESC = 0x1b;
const SPACE = 0x20;
const DELETE = 0x7f;

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** How a key can end the line. */
type End = "done" | "interrupted" | "cancelled";

/** Switches bracketed paste on: the terminal puts {@link PASTE_START} and {@link PASTE_END} around what is pasted. */
export const PASTE_ON = "\x1b[?2004h";
/** Switches bracketed paste off. */
export const PASTE_OFF = "\x1b[?2004l";

/**
 * Reads one line. Enter ends it, backspace, Ctrl-U and Ctrl-W edit it, Ctrl-C interrupts, Ctrl-D on an empty line cancels;
 * arrow and function keys do nothing. Inside a bracketed paste every byte counts, but terminals send a line end as CR, so
 * a lone CR is LF again (CR LF stays). The Enter that ends the line is not part of the value.
 */
export class HiddenLine {
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(1024);
  #length = 0;
  /** An escape sequence under way, or "" outside one. */
  #escape = "";
  #pasting = false;
  #lastWasPastedCr = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes a chunk of input. */
  feed(chunk: Uint8Array): LineResult {
    for (let index = 0; index < chunk.length; index++) {
      const result = this.#byte(chunk[index] as number);
      if (result === "done") return { type: "done", value: this.#value(), rest: chunk.slice(index + 1) };
      if (result) return { type: result };
      if (this.#length > this.#maxBytes) return { type: "too-long" };
    }
    return { type: "more" };
  }

  #byte(byte: number): End | undefined {
    if (this.#escape) return this.#inEscape(byte);
    if (byte === ESC) {
      this.#escape = "\x1b";
      return undefined;
    }
    if (!this.#pasting) return this.#key(byte);
    this.#paste(byte);
    return undefined;
  }

  #key(byte: number): End | undefined {
    if (byte === CR || byte === LF) return "done";
    if (byte === CTRL_C) return "interrupted";
    if (byte === CTRL_D) return this.#length === 0 ? "cancelled" : "done";
    if (byte === BACKSPACE || byte === DELETE) this.#eraseCharacter();
    else if (byte === CTRL_U) this.#length = 0;
    else if (byte === CTRL_W) this.#eraseWord();
    else if (byte >= SPACE || byte === TAB) this.#push(byte);
    return undefined;
  }

  #paste(byte: number): void {
    if (byte === LF && this.#lastWasPastedCr) {
      this.#bytes[this.#length - 1] = CR;
      this.#lastWasPastedCr = false;
      this.#push(LF);
    } else {
      this.#lastWasPastedCr = byte === CR;
      this.#push(byte === CR ? LF : byte);
    }
  }

  #inEscape(byte: number): End | undefined {
    const sequence = this.#escape + String.fromCharCode(byte);
    if (this.#pasting) {
      // The only sequence that means something inside a paste is its end; all others were pasted.
      if (sequence === PASTE_END) {
        this.#pasting = false;
        this.#lastWasPastedCr = false;
        this.#escape = "";
      } else if (PASTE_END.startsWith(sequence)) this.#escape = sequence;
      else {
        const pasted = this.#escape;
        this.#escape = "";
        for (const char of pasted) this.#paste(char.charCodeAt(0));
        return this.#byte(byte);
      }
      return undefined;
    }
    if (sequence.length === 2) {
      // ESC [ and ESC O start the sequence of a key; after a lone Escape the next byte is a key of its own.
      this.#escape = byte === 0x5b || byte === 0x4f ? sequence : "";
      return this.#escape ? undefined : this.#byte(byte);
    }
    const isParameter = sequence[1] === "[" && byte >= 0x20 && byte <= 0x3f;
    this.#escape = isParameter && sequence.length < 32 ? sequence : "";
    if (sequence === PASTE_START) this.#pasting = true;
    return undefined;
  }

  #push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(larger);
      this.#bytes.fill(0);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** Erases one UTF-8 character: its continuation bytes (10xxxxxx) and the byte before them. */
  #eraseCharacter(): void {
    while (this.#length > 0 && ((this.#bytes[this.#length - 1] ?? 0) & 0xc0) === 0x80) this.#length--;
    if (this.#length > 0) this.#length--;
  }

  #eraseWord(): void {
    const isSpace = () => /\s/.test(String.fromCharCode(this.#bytes[this.#length - 1] ?? SPACE));
    while (this.#length > 0 && isSpace()) this.#length--;
    while (this.#length > 0 && !isSpace()) this.#length--;
  }

  #value(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }
}
