import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deflate } from "../../../src/oci/archive/deflate.ts";
import { gzip } from "../../../src/oci/archive/gzip.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { folder, run } from "../../image/support.ts";

/** Bytes that anybody can make again: a linear congruential generator, and words chosen by it. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}
function noise(length: number, seed = 1): Buffer {
  const source = numbers(seed);
  return Buffer.from(Uint8Array.from({ length }, () => (source.next().value as number) & 0xff));
}
function prose(length: number, seed = 2): Buffer {
  const source = numbers(seed);
  const words = Array.from({ length: 400 }, (_, index) => `${"aeiou"[index % 5]}${(index * 7919).toString(36)}`);
  let text = "";
  while (text.length < length) text += `${words[(source.next().value as number) % words.length]} `;
  return Buffer.from(text.slice(0, length));
}

async function whole(input: Uint8Array, level: number, pieces: number[] = [input.length]): Promise<Buffer> {
  async function* source() {
    let at = 0;
    for (const size of pieces) {
      yield input.subarray(at, at + size);
      at += size;
    }
  }
  const chunks: Buffer[] = [];
  for await (const chunk of gzip(source(), level)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const inputs: [name: string, input: Buffer][] = [
  ["nothing", Buffer.alloc(0)],
  ["one byte", Buffer.from("a")],
  ["three bytes", Buffer.from("abc")],
  ["one byte many times", Buffer.alloc(300_000, 7)],
  ["what cannot be made smaller", noise(200_000)],
  ["text", prose(400_000)],
  [
    "text, noise and zeros over several blocks",
    Buffer.concat([prose(900_000), noise(400_000), Buffer.alloc(2_000_000), prose(900_000)]),
  ],
  ["exactly a block", prose(1 << 20)],
  ["a block and a byte", prose((1 << 20) + 1)],
];

describe("gzip", () => {
  it.each(inputs)("of %s is what it was, for zlib and for gzip itself", async (_, input) => {
    for (const level of [1, 4, 6, 9]) {
      const packed = await whole(input, level);
      expect(gunzipSync(packed).equals(input), `level ${level}`).toBe(true);
      expect(packed.length).toBeLessThan(input.length * 1.001 + 64);
    }
    const file = join(await folder(), "x.gz");
    await writeFile(file, await whole(input, 6));
    const { stdout } = await run("gzip", ["-dc", file], { encoding: "buffer", maxBuffer: 1 << 26 });
    expect(stdout.equals(input)).toBe(true);
  });

  it("does not depend on how the input arrives", async () => {
    const input = Buffer.concat([prose(1_500_000), noise(300_000)]);
    const once = await whole(input, 6);
    expect((await whole(input, 6, [1, 1_048_575, 1, 3, 0, 751_420])).equals(once)).toBe(true);
  });

  // The bytes themselves: another Node, another processor or another zlib that gives others breaks this, and so does a change
  // of the code. Then it is a new format, and LayerMemo's version goes up.
  it("gives these very bytes everywhere", async () => {
    const input = Buffer.concat([prose(1_200_000), noise(70_000), Buffer.alloc(70_000, 1)]);
    expect(digestOf(input)).toBe("sha256:0d6e9d616fd816ff63ca85e81baf661f1030e633862556816b6a71b18dcf58aa");
    expect(digestOf(await whole(input, 4))).toBe(
      "sha256:1fb26535aec2399987dd54a9da5200000346a33b181175259ae87c4c33fcaf41",
    );
    expect(digestOf(await whole(input, 6))).toBe(
      "sha256:f65a93fbe2e24414be8c8a62fafa1c24fa5a9a4bb9499ed31bde6fe4388115c8",
    );
  });

  it("gives the same bytes from threads, where there are enough blocks for them", async () => {
    const [text, more] = [prose(3_500_000), prose(1_500_000, 3)];
    const input = Buffer.concat([text, noise(1_100_000), Buffer.alloc(2_000_000, 1), text, more, text, text]);
    const pieces = Array.from({ length: Math.ceil(input.length / 70_001) }, () => 70_001);
    // Two at a time, which share the threads. The digest is that of one thread, before there were more.
    const [packed, other] = await Promise.all([whole(input, 6, pieces), whole(input.subarray(1), 1)]);
    expect(digestOf(packed)).toBe("sha256:7c124fc81e94aca144e938c9ebdd3a45c37e2ca5617773975ac31459b1a6f188");
    expect(gunzipSync(other).equals(input.subarray(1))).toBe(true);
  });

  it("can be left at any time, and passes on what the source throws", async () => {
    const text = prose(500_000);
    async function* endless() {
      for (;;) yield text;
    }
    let size = 0;
    for await (const chunk of gzip(endless(), 1)) {
      size += chunk.length;
      if (size > 4_000_000) break;
    }
    async function* broken() {
      for (let pieces = 0; pieces < 40; pieces++) yield text;
      throw new Error("no more");
    }
    const failing = async () => {
      for await (const _ of gzip(broken(), 6)) {
        // Only to get to the end.
      }
    };
    await expect(failing()).rejects.toThrow("no more");
    const long = Buffer.concat(Array.from({ length: 24 }, () => text));
    expect(gunzipSync(await whole(long, 6)).equals(long)).toBe(true);
  });

  it("is about as small as zlib's", async () => {
    const { gzipSync } = await import("node:zlib");
    const input = prose(1_000_000);
    expect((await whole(input, 6)).length).toBeLessThan(gzipSync(input, { level: 6 }).length * 1.1);
  });
});

describe("deflate", () => {
  it("gives back any bytes, in parts that follow on each other, at any depth", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc
        .array(fc.constantFrom("a", "b", "abc", "abcabcabd", "\0\0\0\0\0"), { maxLength: 800 })
        .map((parts) => Buffer.from(parts.join(""))),
    );
    fc.assert(
      fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 64 }), (data, cut, depth) => {
        const at = data.length === 0 ? 0 : cut % (data.length + 1);
        const packed = Buffer.concat([deflate(data.subarray(0, at), 0, false, depth), deflate(data, at, true, depth)]);
        expect(inflateRawSync(packed).equals(data)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it("ends well when the last block of codes is just full", () => {
    for (const length of [32_767, 32_768, 32_769, 65_536]) {
      const input = noise(length, 5);
      expect(inflateRawSync(deflate(input, 0, true, 4)).equals(input)).toBe(true);
      const rest = Buffer.from("x");
      const both = Buffer.concat([deflate(input, 0, false, 4), deflate(Buffer.concat([input, rest]), length, true, 4)]);
      expect(inflateRawSync(both).equals(Buffer.concat([input, rest]))).toBe(true);
      const file = Buffer.concat([deflate(input, 0, true, 4), rest]);
      // What comes after the end is not part of it.
      const { engine } = inflateRawSync(file, { info: true }) as unknown as { engine: { bytesWritten: number } };
      expect(engine.bytesWritten).toBe(file.length - 1);
    }
  });

  it("keeps to codes of 15 bits where the counts ask for longer ones", () => {
    // Fibonacci's numbers make the deepest of Huffman's trees.
    const counts = Array.from({ length: 22 }, () => 1);
    for (let index = 2; index < counts.length; index++)
      counts[index] = (counts[index - 1] ?? 0) + (counts[index - 2] ?? 0);
    const source = numbers(3);
    const symbols = counts.flatMap((count, symbol) => Array.from({ length: count }, () => symbol));
    for (let index = symbols.length - 1; index > 0; index--) {
      const other = (source.next().value as number) % (index + 1);
      [symbols[index], symbols[other]] = [symbols[other] as number, symbols[index] as number];
    }
    const input = Buffer.from(symbols);
    expect(inflateRawSync(deflate(input, 0, true, 1)).equals(input)).toBe(true);
  });
});
