/**
 * DEFLATE (RFC 1951) in plain JavaScript. zlib's output depends on its version, on how Node was built and on what the
 * processor can do (Node's own zlib hashes in another way where there are CRC instructions, and distributions link another
 * library), so an image's digest would as well. Here it depends on the input and the effort alone: only integers,
 * nothing that one call leaves to the next, no order that is left to the engine.
 */
import { Buffer } from "node:buffer";

const MIN_MATCH = 4;
const MAX_MATCH = 258;
const WINDOW = 1 << 15;
const HASH_BITS = 15;
/** Symbols of one block of codes: often enough that the codes fit the text, seldom enough that their tables cost little. */
const BLOCK_SYMBOLS = 1 << 15;

const END = 256;
const LITERALS = 286;
const DISTANCES = 30;
const MAX_BITS = 15;
/** The order in which lengths of the code for code lengths are written (RFC 1951, 3.2.7). */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Base and number of extra bits of each length code from 257 on, and of each distance code (RFC 1951, 3.2.5). */
const LENGTH_EXTRA = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
);
const DISTANCE_EXTRA = Uint8Array.of(0, 0, 0, 0, ...Array.from({ length: 26 }, (_, index) => (index >> 1) + 1));
const LENGTH_BASE = bases(LENGTH_EXTRA, 3);
LENGTH_BASE[28] = MAX_MATCH;
const DISTANCE_BASE = bases(DISTANCE_EXTRA, 1);

/** Code of each length from 0 to 258. */
const LENGTH_CODE = new Uint8Array(MAX_MATCH + 1);
for (let code = 0; code < 28; code++) LENGTH_CODE.fill(code, LENGTH_BASE[code], MAX_MATCH);
LENGTH_CODE[MAX_MATCH] = 28;
/** Code of each distance: up to 256 by itself, above by its upper bits. */
const DISTANCE_CODE = new Uint8Array(512);
for (let code = 0; code < DISTANCES; code++) {
  const from = DISTANCE_BASE[code] as number;
  const to = from + (1 << (DISTANCE_EXTRA[code] as number));
  for (let distance = from; distance < to && distance <= 256; distance++) DISTANCE_CODE[distance - 1] = code;
  for (let distance = Math.max(from, 257); distance < to; distance += 128)
    DISTANCE_CODE[256 + ((distance - 1) >> 7)] = code;
}

function bases(extra: Uint8Array, first: number): Uint16Array {
  let next = first;
  return Uint16Array.from(extra, (bits) => {
    const base = next;
    next += 1 << bits;
    return base;
  });
}

/**
 * The compressed form of `data` from `start` on; what is before (32 KiB of it count) is what the reader has already. `last`:
 * it ends the stream; else it ends on a byte and more can follow. `depth`: how many earlier places are tried for each match,
 * 1 (fast) to 100 (small).
 */
export function deflate(data: Uint8Array, start: number, last: boolean, depth: number): Buffer {
  const out = new BitWriter();
  const block = new SymbolBlock(out);
  const matcher = new Matcher(data, Math.max(0, start - WINDOW), depth);
  matcher.insertUpTo(start);
  const end = data.length;
  /** Where the block of codes begins that is being filled. */
  let from = start;
  for (let at = start; at < end; ) {
    let match = matcher.find(at, MIN_MATCH - 1);
    if (match === 0) block.literal(data[at++] as number);
    else {
      // A longer match one byte later is worth the byte.
      while (match >>> 16 < 32 && at + 1 < end) {
        const next = matcher.find(at + 1, match >>> 16);
        if (next === 0) break;
        block.literal(data[at++] as number);
        match = next;
      }
      block.match(match);
      at += match >>> 16;
      matcher.insertUpTo(at);
    }
    if (block.isFull) {
      block.write(data, from, at, false);
      from = at;
    }
  }
  if (last || !block.isEmpty) block.write(data, from, end, last);
  if (last) out.align();
  else out.stored(data, end, end, false);
  return out.bytes();
}

// The memory of one call is that of the next, which finds nothing in it: a chain begins at a head of its own.
const HEAD = new Int32Array(1 << HASH_BITS);
const BEFORE = new Int32Array(WINDOW);

/** Finds earlier places with the same bytes. A match is one number: length << 16 | distance; 0 is none. */
class Matcher {
  readonly #data: Uint8Array;
  /** The same bytes, for four at a time. */
  readonly #view: DataView;
  readonly #first: number;
  readonly #depth: number;
  /** The latest place of each hash, and for each place the one before it; -1 for none. */
  readonly #head = HEAD.fill(-1);
  readonly #before = BEFORE;
  #next: number;

  constructor(data: Uint8Array, first: number, depth: number) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#first = first;
    this.#depth = depth;
    this.#next = first;
  }

  /** Makes every place before `end` one that can be found. */
  insertUpTo(end: number): void {
    const view = this.#view;
    const head = this.#head;
    const before = this.#before;
    const stop = Math.min(end, view.byteLength - MIN_MATCH + 1);
    for (let at = this.#next; at < stop; at++) {
      const hash = hashOf(view.getInt32(at, true));
      before[at & (WINDOW - 1)] = head[hash] as number;
      head[hash] = at;
    }
    if (end > this.#next) this.#next = end;
  }

  /**
   * The longest match at `at` that is longer than `over`. Every place before `at` was inserted; `at` is from now on.
   */
  find(at: number, over: number): number {
    this.#next = at + 1;
    const data = this.#data;
    const view = this.#view;
    const most = Math.min(MAX_MATCH, data.length - at);
    if (most < MIN_MATCH) return 0;
    const before = this.#before;
    const head = this.#head;
    const four = view.getInt32(at, true);
    const hash = hashOf(four);
    let place = head[hash] as number;
    before[at & (WINDOW - 1)] = place;
    head[hash] = at;
    if (most <= over) return 0;
    const oldest = Math.max(this.#first, at - WINDOW);
    let best = over;
    let distance = 0;
    // The last four bytes of what would be longer than the best so far: most places differ there.
    let tail = view.getInt32(at + best - 3, true);
    for (let tries = this.#depth; place >= oldest && tries > 0; tries--) {
      if (view.getInt32(place + best - 3, true) === tail && view.getInt32(place, true) === four) {
        let length = MIN_MATCH;
        while (length + 4 <= most && view.getInt32(place + length, true) === view.getInt32(at + length, true))
          length += 4;
        while (length < most && data[place + length] === data[at + length]) length++;
        if (length > best) {
          best = length;
          distance = at - place;
          if (length === most) break;
          tail = view.getInt32(at + best - 3, true);
        }
      }
      const earlier = before[place & (WINDOW - 1)] as number;
      if (earlier >= place) break; // that slot belongs to a later place by now
      place = earlier;
    }
    return distance === 0 ? 0 : (best << 16) | distance;
  }
}

function hashOf(four: number): number {
  return Math.imul(four, 0x9e3779b1) >>> (32 - HASH_BITS);
}

const SYMBOLS = new Uint32Array(BLOCK_SYMBOLS + 64);

/** Literals and matches on their way into one block of codes. */
class SymbolBlock {
  readonly #out: BitWriter;
  /** A literal, or length << 16 | distance; with room for the literals before a match that was put off. */
  readonly #symbols = SYMBOLS;
  readonly #literals = new Uint32Array(LITERALS);
  readonly #distances = new Uint32Array(DISTANCES);
  #count = 0;

  constructor(out: BitWriter) {
    this.#out = out;
  }

  get isFull(): boolean {
    return this.#count >= BLOCK_SYMBOLS;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  literal(byte: number): void {
    this.#symbols[this.#count++] = byte;
    this.#literals[byte]!++;
  }

  match(match: number): void {
    this.#symbols[this.#count++] = match;
    this.#literals[257 + (LENGTH_CODE[match >>> 16] as number)]!++;
    this.#distances[distanceCode(match & 0xffff)]!++;
  }

  /** Writes the block of `data` from `from` to `to` in the shorter of two forms, and begins a new one. */
  write(data: Uint8Array, from: number, to: number, last: boolean): void {
    const out = this.#out;
    this.#literals[END] = 1;
    const literalLengths = codeLengths(this.#literals, MAX_BITS);
    const distanceLengths = codeLengths(this.#distances, MAX_BITS);
    const header = headerOf(literalLengths, distanceLengths);
    const bits = 3 + header.bits + this.#bodyBits(literalLengths, distanceLengths);
    if (bits > (to - from) * 8 + 64) out.stored(data, from, to, last);
    else {
      out.put(last ? 1 : 0, 1);
      out.put(2, 2);
      header.write(out);
      this.#writeBody(literalLengths, distanceLengths);
    }
    this.#count = 0;
    this.#literals.fill(0);
    this.#distances.fill(0);
  }

  #bodyBits(literalLengths: Uint8Array, distanceLengths: Uint8Array): number {
    let bits = 0;
    for (let code = 0; code < LITERALS; code++) {
      const extra = code > END ? (LENGTH_EXTRA[code - 257] as number) : 0;
      bits += (this.#literals[code] as number) * ((literalLengths[code] as number) + extra);
    }
    for (let code = 0; code < DISTANCES; code++) {
      bits +=
        (this.#distances[code] as number) * ((distanceLengths[code] as number) + (DISTANCE_EXTRA[code] as number));
    }
    return bits;
  }

  #writeBody(literalLengths: Uint8Array, distanceLengths: Uint8Array): void {
    const out = this.#out;
    const literalCodes = codes(literalLengths);
    const distanceCodes = codes(distanceLengths);
    const symbols = this.#symbols;
    const count = this.#count;
    for (let index = 0; index < count; index++) {
      const symbol = symbols[index] as number;
      if (symbol < 256) {
        out.put(literalCodes[symbol] as number, literalLengths[symbol] as number);
        continue;
      }
      const length = symbol >>> 16;
      const distance = symbol & 0xffff;
      const lengthCode = LENGTH_CODE[length] as number;
      out.put(literalCodes[257 + lengthCode] as number, literalLengths[257 + lengthCode] as number);
      if (lengthCode >= 8) out.put(length - (LENGTH_BASE[lengthCode] as number), LENGTH_EXTRA[lengthCode] as number);
      const code = distanceCode(distance);
      out.put(distanceCodes[code] as number, distanceLengths[code] as number);
      out.put(distance - (DISTANCE_BASE[code] as number), DISTANCE_EXTRA[code] as number);
    }
    out.put(literalCodes[END] as number, literalLengths[END] as number);
  }
}

function distanceCode(distance: number): number {
  return DISTANCE_CODE[distance <= 256 ? distance - 1 : 256 + ((distance - 1) >> 7)] as number;
}

/** The two tables of code lengths, run-length encoded and coded themselves (RFC 1951, 3.2.7). */
function headerOf(literals: Uint8Array, distances: Uint8Array): { bits: number; write(out: BitWriter): void } {
  const literalCount = Math.max(257, usedLength(literals));
  const distanceCount = Math.max(1, usedLength(distances));
  const all = [...literals.subarray(0, literalCount), ...distances.subarray(0, distanceCount)];
  const runs: [code: number, extra: number, bits: number][] = [];
  for (let at = 0; at < all.length; ) {
    const value = all[at] as number;
    let run = 1;
    while (all[at + run] === value) run++;
    at += run;
    if (value !== 0) {
      runs.push([value, 0, 0]);
      run--;
    }
    while (run >= 3) {
      const most = value !== 0 ? 6 : run >= 11 ? 138 : 10;
      const taken = Math.min(run, most);
      if (value !== 0) runs.push([16, taken - 3, 2]);
      else if (taken >= 11) runs.push([18, taken - 11, 7]);
      else runs.push([17, taken - 3, 3]);
      run -= taken;
    }
    for (; run > 0; run--) runs.push([value, 0, 0]);
  }
  const counts = new Uint32Array(19);
  for (const [code] of runs) counts[code]!++;
  const lengths = codeLengths(counts, 7);
  const order = LENGTH_ORDER.map((code) => lengths[code] as number);
  const orderCount = Math.max(4, usedLength(Uint8Array.from(order)));
  const runBits = runs.reduce((sum, [code, , bits]) => sum + (lengths[code] as number) + bits, 0);
  return {
    bits: 14 + 3 * orderCount + runBits,
    write(out) {
      out.put(literalCount - 257, 5);
      out.put(distanceCount - 1, 5);
      out.put(orderCount - 4, 4);
      for (const length of order.slice(0, orderCount)) out.put(length, 3);
      const table = codes(lengths);
      for (const [code, extra, bits] of runs) {
        out.put(table[code] as number, lengths[code] as number);
        out.put(extra, bits);
      }
    },
  };
}

/** Number of entries up to the last that is not 0. */
function usedLength(lengths: Uint8Array): number {
  let count = lengths.length;
  while (count > 0 && lengths[count - 1] === 0) count--;
  return count;
}

/** Lengths of a prefix code for symbols with these counts, none over `limit`: Huffman's, then shortened where it is deeper. */
function codeLengths(counts: Uint32Array, limit: number): Uint8Array {
  const lengths = new Uint8Array(counts.length);
  const symbols: number[] = [];
  for (let symbol = 0; symbol < counts.length; symbol++) if (counts[symbol] !== 0) symbols.push(symbol);
  // Readers want a whole code: one symbol gets a companion that is never used.
  if (symbols.length < 2) {
    lengths[0] = 1;
    lengths[symbols[0] ?? 0] = 1;
    if ((symbols[0] ?? 0) === 0) lengths[1] = 1;
    return lengths;
  }
  symbols.sort((a, b) => (counts[a] as number) - (counts[b] as number) || a - b);
  // Two queues: leaves in order of their counts, and inner nodes, which come into being in that order.
  const total = symbols.length;
  const weight = new Float64Array(2 * total - 1);
  const parent = new Int32Array(2 * total - 1);
  for (let leaf = 0; leaf < total; leaf++) weight[leaf] = counts[symbols[leaf] as number] as number;
  let leaf = 0;
  let inner = total;
  for (let node = total; node < 2 * total - 1; node++) {
    for (let child = 0; child < 2; child++) {
      const isLeaf = leaf < total && (inner >= node || (weight[leaf] as number) <= (weight[inner] as number));
      const taken = isLeaf ? leaf++ : inner++;
      weight[node]! += weight[taken] as number;
      parent[taken] = node;
    }
  }
  const depth = new Int32Array(2 * total - 1);
  const perLength = new Int32Array(Math.max(limit, total) + 1);
  for (let node = 2 * total - 3; node >= 0; node--) {
    depth[node] = (depth[parent[node] as number] as number) + 1;
    if (node < total) perLength[depth[node] as number]!++;
  }
  shorten(perLength, limit);
  // The rarest symbols get the longest codes.
  let symbol = 0;
  for (let length = limit; length > 0; length--) {
    for (let left = perLength[length] as number; left > 0; left--) lengths[symbols[symbol++] as number] = length;
  }
  return lengths;
}

/** Moves codes that are longer than `limit` up to it, and others down, until the code is whole again (Kraft's sum is 1). */
function shorten(perLength: Int32Array, limit: number): void {
  for (let length = limit + 1; length < perLength.length; length++) {
    perLength[limit]! += perLength[length] as number;
    perLength[length] = 0;
  }
  let sum = 0;
  for (let length = limit; length > 0; length--) sum += (perLength[length] as number) << (limit - length);
  for (; sum > 1 << limit; sum--) {
    perLength[limit]!--;
    for (let length = limit - 1; length > 0; length--) {
      if (perLength[length] === 0) continue;
      perLength[length]!--;
      perLength[length + 1]! += 2;
      break;
    }
  }
}

/** The canonical codes for these lengths, each with its bits turned round, as they are written. */
function codes(lengths: Uint8Array): Uint16Array {
  const perLength = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) if (length > 0) perLength[length]!++;
  const next = new Uint16Array(MAX_BITS + 2);
  for (let length = 1; length <= MAX_BITS; length++) {
    next[length + 1] = ((next[length] as number) + (perLength[length] as number)) << 1;
  }
  const table = new Uint16Array(lengths.length);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol] as number;
    if (length === 0) continue;
    let code = next[length]!++;
    let turned = 0;
    for (let bit = 0; bit < length; bit++) {
      turned = (turned << 1) | (code & 1);
      code >>= 1;
    }
    table[symbol] = turned;
  }
  return table;
}

const SCRATCH = Buffer.allocUnsafeSlow(1 << 20);

/** Bits, the lowest first, in bytes. */
class BitWriter {
  #bytes = SCRATCH;
  #size = 0;
  #held = 0;
  #heldBits = 0;

  /** Adds the lowest `count` bits of `value`, at most 16; the others are 0. */
  put(value: number, count: number): void {
    this.#held |= value << this.#heldBits;
    this.#heldBits += count;
    if (this.#heldBits < 16) return;
    if (this.#size + 2 > this.#bytes.length) this.#grow(2);
    this.#bytes[this.#size++] = this.#held;
    this.#bytes[this.#size++] = this.#held >>> 8;
    this.#held >>>= 16;
    this.#heldBits -= 16;
  }

  /** Fills the byte that has begun with zeros. */
  align(): void {
    this.#grow(2);
    for (; this.#heldBits > 0; this.#heldBits -= 8) {
      this.#bytes[this.#size++] = this.#held;
      this.#held >>>= 8;
    }
    this.#heldBits = 0;
  }

  /** Adds `data` from `from` to `to` as it is, in stored blocks; an empty one when there is nothing. */
  stored(data: Uint8Array, from: number, to: number, last: boolean): void {
    let at = from;
    do {
      const size = Math.min(0xffff, to - at);
      this.put(last && at + size === to ? 1 : 0, 1);
      this.put(0, 2);
      this.align();
      this.#grow(size + 4);
      this.#size = this.#bytes.writeUInt16LE(size, this.#size);
      this.#size = this.#bytes.writeUInt16LE(size ^ 0xffff, this.#size);
      this.#bytes.set(data.subarray(at, at + size), this.#size);
      this.#size += size;
      at += size;
    } while (at < to);
  }

  /** What was written, in memory of its own. The last byte has to be whole. */
  bytes(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#bytes.copy(bytes, 0, 0, this.#size);
    return bytes;
  }

  #grow(more: number): void {
    if (this.#size + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#size + more));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }
}
