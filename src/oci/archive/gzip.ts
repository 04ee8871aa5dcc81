/**
 * gzip (RFC 1952) of a stream, as one member that every reader takes: blocks of a fixed size are deflated on their own, each
 * with the 32 KiB before it as a dictionary, and end on a byte, as pigz does it. The bytes depend on the input and the level
 * alone: not on how the input arrives, how many threads there are, the time, the system, the processor, or the zlib that
 * Node has (see deflate.ts).
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { deflate } from "./deflate.ts";
import { type DeflatePart, deflateInThread, THREADS } from "./deflate-threads.ts";

const BLOCK = 1 << 20;
const WINDOW = 1 << 15;
/** Blocks after which other threads are asked: they take longer to start than they save of fewer. */
const FEW = 8;
/** How many earlier places are tried for each match, by level. */
const DEPTHS = [1, 1, 2, 4, 6, 10, 16, 24, 40, 64];

type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** The gzip form of `source`. `level` is 1 (fast) to 9 (small), and near zlib's of that number in size. */
export async function* gzip(source: Source, level: number): AsyncGenerator<Buffer, void, undefined> {
  // No time, no name, and 255 ("unknown") for the system.
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  const sum = { crc: 0, size: 0 };
  const ahead: (Promise<Buffer> | Buffer)[] = [];
  // The memory of parts that are done is that of the next: a megabyte each is much for the collector.
  const spare: DeflatePart["data"][] = [];
  let count = 0;
  for await (const part of parts(source, DEPTHS[level] ?? 6, sum, spare)) {
    let packed: Promise<Buffer> | Buffer | undefined = ++count > FEW ? deflateInThread(part, spare) : undefined;
    if (packed === undefined) {
      // All threads are busy, so this one does its share.
      packed = deflate(part.data, part.start, part.last, part.depth);
      spare.push(part.data);
      if (!part.last) await setImmediate(); // a block takes some 20 ms: everything else of the process gets its turn
    }
    ahead.push(packed);
    while (ahead.length > 4 * THREADS) yield (await ahead.shift()) as Buffer;
  }
  for (const packed of ahead) yield await packed;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(sum.crc, 0);
  trailer.writeUInt32LE(sum.size % 2 ** 32, 4);
  yield trailer;
}

/** The same bytes in blocks of exactly BLOCK, each with the dictionary before it; the last may be shorter, or empty. */
async function* parts(
  source: Source,
  depth: number,
  sum: { crc: number; size: number },
  spare: DeflatePart["data"][],
): AsyncGenerator<DeflatePart, void, undefined> {
  const room = () => Buffer.from((spare.pop() ?? Buffer.allocUnsafeSlow(WINDOW + BLOCK)).buffer);
  let data = room();
  let start = 0;
  let end = 0;
  const part = (last: boolean): DeflatePart => {
    sum.crc = crc32(data.subarray(start, end), sum.crc);
    sum.size += end - start;
    return { data: data.subarray(0, end), start, last, depth };
  };
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      // A full block is held back until there is more, because the last one is written in another way.
      if (end === start + BLOCK) {
        const full = part(false);
        data = room();
        data.set(full.data.subarray(-WINDOW));
        yield full;
        start = WINDOW;
        end = WINDOW;
      }
      const piece = chunk.subarray(at, at + start + BLOCK - end);
      data.set(piece, end);
      end += piece.length;
      at += piece.length;
    }
  }
  yield part(true);
}
