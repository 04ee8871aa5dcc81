/** Tarballs of npm's cache, which has them by the digest of their bytes, unpacked: in memory as far as they are small. */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { closeSync, createWriteStream, openSync, readSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createGunzip, gunzip } from "node:zlib";
import { diskError } from "../../core/disk-error.ts";
import type { TarSource } from "../../oci/archive/tar.ts";
import { ensure, LeaveToNpm } from "./leave-to-npm.ts";

/** Bytes of archives that are held in memory at a time; what is more lies in files. */
const IN_MEMORY = 64 << 20;
/** A tarball is no larger than this, and not made of less than a 500th of its size: nobody's package is. */
const MAX_PACKED = 512 << 20;
const MAX_RATIO = 500;

/** An unpacked archive. */
export interface Archive {
  size: number;
  /** A part of it. */
  read(at: number, length: number): Buffer;
  /** A part of it as the content of a file of a layer. */
  content(start: number, size: number): Uint8Array | TarSource;
  /** Lets go of what `read` needs. `content` stays. */
  close(): void;
}

/** Unpacks archives for one layer. `dir` makes the folder for those that are too large for memory. */
export class Archives {
  readonly #content: string;
  readonly #dir: () => Promise<string>;
  readonly #signal: AbortSignal;
  #left: number;
  #files = 0;

  constructor(at: { content: string; dir: () => Promise<string>; signal: AbortSignal; inMemory?: number | undefined }) {
    this.#left = at.inMemory ?? IN_MEMORY;
    this.#content = at.content;
    this.#dir = at.dir;
    this.#signal = at.signal;
  }

  /** Throws LeaveToNpm unless npm has every tarball in its cache. */
  async check(integrities: Iterable<string>): Promise<void> {
    for (const integrity of integrities) {
      const found = await stat(this.#file(integrity)).catch(() => undefined); // npm fetches what is not there
      ensure(found?.isFile() && found.size <= MAX_PACKED, `npm's cache does not have ${integrity}`);
    }
  }

  /** The archive of the tarball. Throws LeaveToNpm when it is damaged, or anything else than one stream of gzip. */
  async unpack(integrity: string): Promise<Archive> {
    const packed = await readFile(this.#file(integrity), { signal: this.#signal }).catch((error: unknown) => {
      this.#signal.throwIfAborted();
      throw new LeaveToNpm(`npm's cache cannot be read: ${error}`);
    });
    ensure(integrity === `sha512-${hash("sha512", packed, "base64")}`, `npm's cache has a damaged ${integrity}`);
    ensure(packed.length > 18 && packed.readUInt32BE(0) >>> 8 === 0x1f8b08, "a tarball that is not gzip's");
    const size = packed.readUInt32LE(packed.length - 4);
    ensure(size <= packed.length * MAX_RATIO, "a tarball that is made very small");
    const archive = size <= this.#left ? this.#inMemory(packed, size) : this.#inFile(packed, size);
    return archive.catch((error: unknown) => {
      this.#signal.throwIfAborted();
      const { code } = error as NodeJS.ErrnoException;
      if (code?.startsWith("Z_") || code?.startsWith("ERR_"))
        throw new LeaveToNpm(`a tarball that zlib cannot read: ${code}`);
      throw error;
    });
  }

  async #inMemory(packed: Buffer, size: number): Promise<Archive> {
    this.#left -= size;
    // All at once, with some room, since zlib would ask for as much again when the room is just used up.
    const bytes = await promisify(gunzip)(packed, { chunkSize: size + 64, maxOutputLength: size + 64 });
    ensure(bytes.length === size, "a tarball of several parts");
    return {
      size,
      read: (at, length) => bytes.subarray(at, at + length),
      content: (start, length) => bytes.subarray(start, start + length),
      close: () => {},
    };
  }

  async #inFile(packed: Buffer, size: number): Promise<Archive> {
    const dir = await this.#dir();
    const path = join(dir, String(++this.#files));
    let written = 0;
    const counted = new Transform({
      transform: (chunk: Buffer, _, done) => {
        written += chunk.length;
        done(written > size ? new LeaveToNpm("a tarball of several parts") : null, chunk);
      },
    });
    const file = createWriteStream(path, { flags: "wx" });
    await pipeline(Readable.from([packed]), createGunzip({ chunkSize: 1 << 18 }), counted, file, {
      signal: this.#signal,
    }).catch((error: unknown) => {
      throw diskError(error, dir);
    });
    ensure(written === size, "a tarball of several parts");
    const handle = openSync(path, "r");
    return {
      size,
      read: (at, length) => {
        const part = Buffer.alloc(length);
        for (let done = 0; done < length; ) {
          const count = readSync(handle, part, done, length - done, at + done);
          ensure(count > 0, "an archive that ends early");
          done += count;
        }
        return part;
      },
      content: (start, length) => ({ file: path, start, size: length }),
      close: () => closeSync(handle),
    };
  }

  #file(integrity: string): string {
    const digest = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity)?.[1];
    ensure(digest !== undefined, "a tarball without one SHA-512");
    const hex = Buffer.from(digest, "base64").toString("hex");
    return join(this.#content, "sha512", hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
  }
}
