/**
 * gzip (RFC 1952) of a stream, on several threads at once, as one member that every reader takes: blocks of a fixed size are
 * deflated on their own, each with the 32 KiB before it as a dictionary, and end on a byte, as pigz does it. The bytes depend
 * on the input, the level and zlib, not on the number of processors, how the input arrives, the time or the system.
 */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

const deflate = promisify<Buffer, Parameters<typeof deflateRaw>[1], Buffer>(deflateRaw);

const BLOCK = 1 << 20;
const WINDOW = 1 << 15;
/** How many blocks are under way at once; libuv has four threads unless it is told otherwise. */
const PARALLEL = 4;

/** The gzip form of `source`. `level` is zlib's, 1 (fast) to 9 (small). */
export async function* gzip(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer, void, undefined> {
  // No time, no name, and 255 ("unknown") for the system: zlib's own header names the one that it was built for.
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let crc = 0;
  let size = 0;
  let dictionary: Buffer | undefined;
  const under: Promise<Buffer>[] = [];
  const start = (block: Buffer, last: boolean) => {
    const finishFlush = last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
    const result = deflate(block, { level, finishFlush, ...(dictionary ? { dictionary } : {}) });
    // It is awaited in its turn; until then a failure must not count as unhandled.
    result.catch(() => undefined);
    under.push(result);
    crc = crc32(block, crc);
    size += block.length;
    dictionary = block.subarray(-WINDOW);
  };
  let held: Buffer | undefined;
  for await (const block of blocks(source)) {
    // One block is held back, because the last one is written in another way.
    if (held !== undefined) start(held, false);
    held = block;
    while (under.length >= PARALLEL) yield (await under.shift()) as Buffer;
  }
  start(held ?? Buffer.alloc(0), true);
  for (const result of under) yield await result;
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
