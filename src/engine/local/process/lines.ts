/** Cuts a byte stream into lines of text. */
import { Buffer } from "node:buffer";

/** The longest line, in bytes; a longer one is handed on in pieces. */
export const LONGEST_LINE = 64 * 1024;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Turns chunks of one stream into lines without their line ends. Bytes that are no UTF-8 become U+FFFD. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const end = data.indexOf(NEWLINE);
      if (end >= 0 && end <= LONGEST_LINE) {
        lines.push(textOf(data.subarray(0, end)));
        data = data.subarray(end + 1);
      } else if (data.length > LONGEST_LINE) {
        const cut = characterStart(data, LONGEST_LINE);
        lines.push(data.toString("utf8", 0, cut));
        data = data.subarray(cut);
      } else break;
    }
    // A copy: the rest must not keep the whole chunk alive.
    this.#rest = Buffer.from(data);
    return lines;
  }

  /** The last line, when the stream ended without a line end. */
  flush(): string[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length > 0 ? [textOf(rest)] : [];
  }
}

function textOf(line: Buffer): string {
  const end = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length;
  return line.toString("utf8", 0, end);
}

/** The largest position up to `at` where a character of UTF-8 starts. */
function characterStart(data: Buffer, at: number): number {
  for (let start = at; start > at - 4; start--) {
    if (((data[start] ?? 0) & 0xc0) !== 0x80) return start;
  }
  return at; // no UTF-8 at all
}
