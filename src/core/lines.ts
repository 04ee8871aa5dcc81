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
    return this.pushAtMost(chunk, Number.POSITIVE_INFINITY).lines;
  }

  /** The first `most` lines that `chunk` completes, and the number of those beyond, which are dropped. */
  pushAtMost(chunk: Buffer, most: number): { lines: string[]; dropped: number } {
    const lines: string[] = [];
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      if (lines.length >= most) {
        const last = data.lastIndexOf(NEWLINE);
        const dropped = countNewlines(data.subarray(0, last + 1));
        // An endless line is cut, too.
        const rest = data.subarray(last + 1);
        this.#rest = Buffer.from(rest.length > LONGEST_LINE ? rest.subarray(0, 0) : rest);
        return { lines, dropped: dropped + (rest.length > LONGEST_LINE ? 1 : 0) };
      }
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
    return { lines, dropped: 0 };
  }

  /** The last line, when the stream ended without a line end. */
  flush(): string[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length > 0 ? [textOf(rest)] : [];
  }
}

function countNewlines(data: Buffer): number {
  let count = 0;
  for (let at = 0; at < data.length; at++) if (data[at] === NEWLINE) count++;
  return count;
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
