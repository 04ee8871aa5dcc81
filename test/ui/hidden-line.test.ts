import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HiddenLine, type LineResult } from "../../src/ui/hidden-line.ts";

const MAX = 1 << 20;

function typed(...chunks: (string | Uint8Array)[]): LineResult {
  const line = new HiddenLine(MAX);
  let result: LineResult = { type: "more" };
  for (const chunk of chunks) {
    if (result.type !== "more") throw new Error("input after the end");
    result = line.feed(Buffer.from(chunk as string));
  }
  return result;
}

function value(...chunks: (string | Uint8Array)[]): string {
  const result = typed(...chunks);
  if (result.type !== "done") throw new Error(result.type);
  return Buffer.from(result.value).toString("utf8");
}

const paste = (text: string) => `\x1b[200~${text}\x1b[201~`;

describe("keys", () => {
  it("Enter ends the line and is not part of it", () => {
    expect(value("secret\r")).toBe("secret");
    expect(value("secret\n")).toBe("secret");
    expect(value("\r")).toBe("");
  });

  it("keeps what came after for the next prompt", () => {
    const result = typed("one\rtwo\r");
    expect(result.type === "done" && Buffer.from(result.rest).toString()).toBe("two\r");
  });

  it("backspace erases a character, of however many bytes", () => {
    expect(value("ab\x7fc\r")).toBe("ac");
    expect(value("aé\x7f\x7fb\r")).toBe("b");
    expect(value("x🔑\x08漢\x7fy\r")).toBe("xy");
    expect(value("\x7f\x7fa\r")).toBe("a");
  });

  it("Ctrl-U erases all, Ctrl-W a word", () => {
    expect(value("wrong\x15right\r")).toBe("right");
    expect(value("one two  \x17three\r")).toBe("one three");
    expect(value("one\x17\x17two\r")).toBe("two");
  });

  it("Ctrl-C interrupts, Ctrl-D cancels an empty line and ends another", () => {
    expect(typed("abc\x03").type).toBe("interrupted");
    expect(typed("\x04").type).toBe("cancelled");
    expect(value("abc\x04")).toBe("abc");
  });

  it("arrow and function keys do nothing, wherever their bytes are cut", () => {
    expect(value("a\x1b[Db\x1bOPc\x1b[15~d\x1b[1;5C\r")).toBe("abcd");
    expect(value("a\x1b", "[", "1;", "5", "Cb\r")).toBe("ab");
  });

  it("a lone Escape swallows nothing", () => expect(value("a\x1bb\r")).toBe("ab"));
});

describe("a bracketed paste", () => {
  it("keeps line ends: LF, CR LF, and CR as the LF that it was", () => {
    expect(value(paste("one\ntwo\n"), "\r")).toBe("one\ntwo\n");
    expect(value(paste("one\r\ntwo\r\n"), "\r")).toBe("one\r\ntwo\r\n");
    expect(value(paste("one\rtwo\r"), "\r")).toBe("one\ntwo\n");
    expect(value(paste("one\r\rtwo"), "\r")).toBe("one\n\ntwo");
  });

  it("takes control characters as they are: nothing in it is a key", () => {
    expect(value(paste("a\x03b\x04c\x15d\x7fe\0f\tg"), "\r")).toBe("a\x03b\x04c\x15d\x7fe\0f\tg");
    expect(value(paste("\x1b[31mred\x1b[0m\x1b[20x"), "\r")).toBe("\x1b[31mred\x1b[0m\x1b[20x");
    expect(value(paste("a\x1b\x1b"), "\r")).toBe("a\x1b\x1b");
  });

  it("goes together with typing", () => {
    expect(value("a", paste("b\r"), "c\r")).toBe("ab\nc");
    expect(value(paste("a\r"), paste("\nb"), "\r")).toBe("a\n\nb");
  });

  it("is the same wherever the terminal cuts it", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "é", "🔑", " ", "\n", "\t", "\x1b", "[", "2", "0", "~") }),
        fc.integer({ min: 1, max: 7 }),
        (text, size) => {
          fc.pre(!text.includes("\x1b[201~"));
          const bytes = Buffer.from(`${paste(text)}\r`);
          const chunks = [];
          for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
          expect(value(...chunks)).toBe(text);
        },
      ),
    );
  });

  it("takes large values and stops at the limit", () => {
    const large = randomBytes(256 * 1024).toString("hex");
    expect(value(paste(large), "\r")).toBe(large);
    const line = new HiddenLine(10);
    expect(line.feed(Buffer.from("0123456789")).type).toBe("more");
    expect(line.feed(Buffer.from("x")).type).toBe("too-long");
  });
});
