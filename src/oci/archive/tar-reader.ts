/** A tar reader for the layers that appctl writes: ustar with pax headers; GNU's extensions are refused. */
import { Buffer } from "node:buffer";
import { BLOCK, checksumOf, padding, textField } from "./tar-header.ts";

/** The head of an entry as the archive has it; the path is not checked. `typeflag` is ustar's. */
export interface TarHeader {
  path: string;
  typeflag: string;
  mode: number;
  size: number;
  target: string;
}

/** An entry. `body` has exactly `size` bytes and has to be read, or given up, before the next entry is asked for. */
export interface TarReaderEntry {
  header: TarHeader;
  body: AsyncIterable<Buffer>;
}

/** More than any path or link target that a file system takes. */
const MAX_PAX_SIZE = 1 << 20;

/** The entries of the archive `source`. Throws an Error on anything that is not a whole, sound archive. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarReaderEntry, void, undefined> {
  const input = new Input(source);
  let pax = new Map<string, string>();
  for (;;) {
    const block = await input.exactly(BLOCK);
    if (block.every((byte) => byte === 0)) break;
    const header = parseHeader(block);
    if (header.typeflag === "x") {
      if (header.size > MAX_PAX_SIZE) throw new Error("tar: a pax header is too large");
      pax = parsePax(await input.exactly(header.size));
      await input.skip(padding(header.size));
      continue;
    }
    const size = pax.has("size") ? Number(pax.get("size")) : header.size;
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("tar: a size is not a number");
    const path = pax.get("path") ?? header.path;
    const target = pax.get("linkpath") ?? header.target;
    pax = new Map();
    const body = input.take(size);
    yield { header: { ...header, path, target, size }, body };
    for await (const _ of body) {
      // What the caller left is passed over.
    }
    await input.skip(padding(size));
  }
  await input.end();
}

function parseHeader(block: Buffer): TarHeader {
  const text = (at: number, length: number) => textField(block, at, length);
  const octal = (at: number, length: number) => {
    const digits = text(at, length).trim();
    if (!/^[0-7]*$/.test(digits)) throw new Error("tar: a number is not octal");
    return digits === "" ? 0 : Number.parseInt(digits, 8);
  };
  if (octal(148, 8) !== checksumOf(block)) throw new Error("tar: the checksum of a header is wrong");
  if (block.toString("latin1", 257, 265) !== "ustar\x0000") throw new Error("tar: the format is not ustar");
  const prefix = text(345, 155);
  return {
    path: prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    typeflag: String.fromCharCode(block[156] ?? 0),
    mode: octal(100, 8),
    size: octal(124, 12),
    target: text(157, 100),
  };
}

function parsePax(body: Buffer): Map<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString("latin1", at, space));
    const record = body.subarray(space + 1, at + length);
    const equals = record.indexOf(0x3d);
    if (space < 0 || !(length > 0) || at + length > body.length || equals < 0 || record.at(-1) !== 0x0a) {
      throw new Error("tar: a pax header is damaged");
    }
    values.set(record.toString("utf8", 0, equals), record.toString("utf8", equals + 1, record.length - 1));
    at += length;
  }
  return values;
}

/** A stream of bytes, taken in pieces of the reader's choice. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to `size` bytes, at least one. */
  async #some(size: number): Promise<Buffer> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done) throw new Error("tar: the archive ends in the middle");
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    const piece = this.#chunk.subarray(0, size);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }

  async exactly(size: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.take(size)) pieces.push(piece);
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }

  async skip(size: number): Promise<void> {
    for await (const _ of this.take(size)) {
      // Only to get past it.
    }
  }

  /** The next `size` bytes. It can be iterated more than once and goes on where the time before ended. */
  take(size: number): AsyncIterable<Buffer> {
    let left = size;
    const next = async (): Promise<IteratorResult<Buffer>> => {
      if (left === 0) return { done: true, value: undefined };
      const value = await this.#some(left);
      left -= value.length;
      return { done: false, value };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  /** Reads what follows the end mark, so that the source is read to its end. */
  async end(): Promise<void> {
    for (let next = await this.#source.next(); !next.done; next = await this.#source.next()) {
      if (next.value.some((byte) => byte !== 0)) throw new Error("tar: there is more after the end of the archive");
    }
  }
}
