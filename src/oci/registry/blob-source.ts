import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { type AppctlError, isAppctlError } from "../../core/errors.ts";
import { blobBytes } from "../blob-bytes.ts";
import type { OciLayout } from "../layout.ts";
import type { Descriptor } from "../model.ts";
import type { ImageName } from "./image-name.ts";
import { damagedError } from "./registry-error.ts";
import type { Repository } from "./repository.ts";

/** A blob to send. */
export interface BlobSource {
  digest: string;
  /** In bytes. */
  size: number;
  /** Opens its bytes from `start` up to, and without, `end`. */
  open(start: number, end: number): Readable;
  /** Throws when the source itself does not have the digest. */
  verify?(): Promise<unknown>;
  /** The error for content that arrives with another digest, `cause`. */
  damaged?(cause: AppctlError): AppctlError;
  /** The repository that has the blob: others of its registry can mount it. */
  origin?: Pick<ImageName, "host" | "plain" | "repository"> | undefined;
  /** Called when no more of it is opened. */
  close?(): void;
}

/** A blob of a layout, to send. */
export function fromLayout(layout: OciLayout, { digest, size }: Descriptor): BlobSource {
  return {
    digest,
    size,
    open: (start, end) => Readable.from(blobBytes(layout, { digest }, start, end), { objectMode: false }),
    verify: () => layout.readBlob(digest),
  };
}

/** A blob of another repository, to send: it passes through, and is not kept. */
export function fromRepository(repository: Repository, blob: Pick<Descriptor, "digest" | "size">): BlobSource {
  const passing = new PassingBlob(repository, blob);
  return {
    digest: blob.digest,
    size: blob.size,
    origin: repository.name,
    damaged: (cause) => damagedError(cause.message, repository.purpose("fetched", blob.digest), cause),
    open: (start, end) => Readable.from(passing.read(start, end), { objectMode: false }),
    close: () => passing.close(),
  };
}

/** Stores a blob in a layout, unless it is there. Content with another digest or size is never kept. */
export async function intoLayout(layout: OciLayout, source: BlobSource): Promise<void> {
  const { digest, size } = source;
  if (await layout.hasBlob(digest, size)) return;
  try {
    await layout.writeBlobStream(source.open(0, size), digest, size);
  } catch (error) {
    const isDamaged = isAppctlError(error) && ["DIGEST_MISMATCH", "BLOB_TOO_LARGE"].includes(error.code);
    throw isDamaged && source.damaged ? source.damaged(error) : error;
  } finally {
    source.close?.();
  }
}

/** Where a chunk ended. */
interface Rest {
  at: number;
  bytes: AsyncGenerator<Buffer>;
  /** What has come already of the bytes from `at` on. */
  left: Buffer;
}

/**
 * Reads a blob in chunks out of one answer. Asked for chunk by chunk, a registry that knows no ranges would send all that is
 * before each chunk again.
 */
export class PassingBlob {
  readonly #repository: Repository;
  readonly #blob: Pick<Descriptor, "digest" | "size">;
  #rest: Rest | undefined;

  constructor(repository: Repository, blob: Pick<Descriptor, "digest" | "size">) {
    this.#repository = repository;
    this.#blob = blob;
  }

  /** Its bytes from `start` up to, and without, `end`; of two chunks only the later one may still be read. */
  async *read(start: number, end: number): AsyncGenerator<Buffer> {
    const { bytes, left: before } = this.#take(start);
    let [at, left, kept] = [start, before, false];
    try {
      while (at < end) {
        if (left.length === 0) {
          const next = await bytes.next();
          if (next.done) return; // it was closed; one that ends too early throws
          left = next.value;
        }
        const part = left.subarray(0, end - at);
        left = left.subarray(part.length);
        at += part.length;
        // Before the last bytes are out: their receiver may ask for the next chunk at once.
        if (at === end && end < this.#blob.size) {
          this.#rest = { at, bytes, left };
          kept = true;
        }
        yield part;
      }
      if (end === this.#blob.size) await bytes.next(); // its own end, which leaves the connection to others
    } finally {
      // One that was left in its middle is of no use: who tries again begins before it.
      if (!kept) await bytes.return(undefined);
    }
  }

  /** Ends the answer that is under way, if any. */
  close(): void {
    const { bytes } = this.#rest ?? {};
    this.#rest = undefined;
    bytes?.return(undefined).catch(() => undefined); // nobody waits for it any more
  }

  #take(start: number): Rest {
    const rest = this.#rest;
    if (rest?.at === start) {
      this.#rest = undefined;
      return rest;
    }
    this.close();
    return { at: start, bytes: this.#repository.blob(this.#blob, start), left: Buffer.alloc(0) };
  }
}
