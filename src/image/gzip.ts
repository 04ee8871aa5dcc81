/**
 * gzip (RFC 1952) of a stream, as one member that every reader takes: blocks of a fixed size are deflated on their own, each
 * with the 32 KiB before it as a dictionary, and end on a byte, as pigz does it. The bytes depend on the input and the level
 * alone: not on how the input arrives, the time, the system, the processor, or the zlib that Node has (see deflate.ts).
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { deflate } from "./deflate.ts";

const BLOCK = 1 << 20;
const WINDOW = 1 << 15;
/** How many earlier places are tried for each match, by level. */
const DEPTHS = [1, 1, 2, 4, 6, 10, 16, 24, 40, 64];

/** The gzip form of `source`. `level` is 1 (fast) to 9 (small), and near zlib's of that number in size. */
export async function* gzip(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer, void, undefined> {
  const depth = DEPTHS[level] ?? 6;
  // No time, no name, and 255 ("unknown") for the system.
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let crc = 0;
  let size = 0;
  let dictionary = Buffer.alloc(0);
  const compress = (block: Buffer, last: boolean): Buffer => {
    const data = Buffer.concat([dictionary, block]);
    crc = crc32(block, crc);
    size += block.length;
    const start = dictionary.length;
    dictionary = data.subarray(-WINDOW);
    return deflate(data, start, last, depth);
  };
  let held: Buffer | undefined;
  for await (const block of blocks(source)) {
    // One block is held back, because the last one is written in another way.
    if (held !== undefined) {
      yield compress(held, false);
      await setImmediate(); // a block takes some 20 ms: everything else that the process has to do gets its turn
    }
    held = block;
  }
  yield compress(held ?? Buffer.alloc(0), true);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/** The same bytes in pieces of exactly BLOCK; the last may be shorter. */
async function* blocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let pending: Uint8Array[] = [];
  let length = 0;
  for await (let chunk of source) {
    while (length + chunk.length >= BLOCK) {
      const head = chunk.subarray(0, BLOCK - length);
      yield Buffer.concat([...pending, head]);
      chunk = chunk.subarray(head.length);
      pending = [];
      length = 0;
    }
    if (chunk.length > 0) {
      pending.push(chunk);
      length += chunk.length;
    }
  }
  if (length > 0) yield Buffer.concat(pending);
}
