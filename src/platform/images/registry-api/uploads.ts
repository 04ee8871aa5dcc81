import { createHash, type Hash, randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { LIMITS } from "../../../contract/limits.ts";
import { diskError } from "../../../core/disk-error.ts";
import type { OciLayout } from "../../../oci/layout.ts";
import { RegistryError } from "./registry-fault.ts";

/** An upload to which nothing was sent for so long is given up, in milliseconds. */
const IDLE_MS = 24 * 3600 * 1000;

/** Bytes of a request. A stream of Node can be broken off by `destroy`. */
export type Source = AsyncIterable<Uint8Array> & { destroy?(): unknown };

interface Upload {
  name: string;
  file: string;
  hash: Hash;
  /** Bytes that are on the disk and in the hash. What the file has beyond them does not count. */
  size: number;
  touchedAt: number;
  running: { source: Source; done: Promise<unknown> } | undefined;
}

/**
 * Uploads that have begun and not ended. They are known to this process only: what an earlier one left is swept away by
 * {@link Uploads.prepare}, and the client begins again.
 */
export class Uploads {
  readonly #layout: OciLayout;
  readonly #now: () => Date;
  readonly #dir: string;
  readonly #uploads = new Map<string, Upload>();

  constructor(layout: OciLayout, now: () => Date) {
    this.#layout = layout;
    this.#now = now;
    this.#dir = join(layout.dir, "uploads");
  }

  /** Removes what a platform that was killed had begun to take. */
  prepare(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Begins an upload to the repository `name`; gives its id. */
  async start(name: string): Promise<string> {
    await this.#giveUpIdle();
    const id = randomUUID();
    const file = join(this.#dir, id);
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      await (await open(file, "wx", 0o644)).close();
    } catch (error) {
      throw diskError(error, this.#layout.dir);
    }
    const touchedAt = this.#now().getTime();
    this.#uploads.set(id, { name, file, hash: createHash("sha256"), size: 0, touchedAt, running: undefined });
    return id;
  }

  /** How many bytes have come. Throws BLOB_UPLOAD_UNKNOWN. */
  size(name: string, id: string): number {
    return this.#find(name, id).size;
  }

  /**
   * Appends what `source` has; gives the number of bytes that are there. `start` is where the client takes it to begin, and
   * must be where the upload ends now. Bytes that came before a broken connection stay. The newest request is the one that counts:
   * one that still runs is of a connection that its client has given up.
   */
  async append(name: string, id: string, source: Source, start?: number): Promise<number> {
    const upload = this.#find(name, id);
    await this.#alone(upload, name, id, source, () => this.#write(upload, id, source, start));
    return upload.size;
  }

  /** Appends, and ends the upload: its bytes must have `digest`, and are a blob of the store then. */
  async finish(name: string, id: string, digest: string, source: Source, start?: number): Promise<void> {
    const upload = this.#find(name, id);
    await this.#alone(upload, name, id, source, async () => {
      await this.#write(upload, id, source, start);
      const found = `sha256:${upload.hash.digest("hex")}`;
      this.#uploads.delete(id);
      try {
        if (found !== digest) {
          const message = `the content has the digest ${found}, not ${digest}: it was cut off or changed in transit`;
          throw new RegistryError(400, { code: "DIGEST_INVALID", message, detail: { digest } });
        }
        const file = await open(upload.file, "r+");
        try {
          await file.truncate(upload.size);
          await file.sync();
        } finally {
          await file.close();
        }
        await this.#layout.adopt(upload.file, digest);
      } catch (error) {
        await rm(upload.file, { force: true });
        throw diskError(error, this.#layout.dir);
      }
    });
  }

  /** Gives an upload up. Throws BLOB_UPLOAD_UNKNOWN. */
  async cancel(name: string, id: string): Promise<void> {
    await this.#remove(id, this.#find(name, id));
  }

  async #write(upload: Upload, id: string, source: Source, start: number | undefined): Promise<void> {
    if (start !== undefined && start !== upload.size) {
      const message = `the upload has ${upload.size} bytes, but the request begins at byte ${start}`;
      throw new RegistryError(
        416,
        { code: "BLOB_UPLOAD_INVALID", message },
        uploadHeaders(upload.name, id, upload.size),
      );
    }
    try {
      const file = await open(upload.file, "r+");
      try {
        for await (const chunk of source) {
          if (upload.size + chunk.length > LIMITS.blobBytes.value) {
            await this.#remove(id, upload, false);
            const message = `the content has more than ${LIMITS.blobBytes.value} bytes`;
            throw new RegistryError(413, { code: "SIZE_INVALID", message });
          }
          for (let at = 0; at < chunk.length; ) {
            at += (await file.write(chunk, at, chunk.length - at, upload.size + at)).bytesWritten;
          }
          upload.hash.update(chunk);
          upload.size += chunk.length;
          upload.touchedAt = this.#now().getTime();
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      const failure = diskError(error, this.#layout.dir);
      // A full disk is not kept full for the sake of half a blob.
      if (failure !== error) await this.#remove(id, upload, false);
      throw failure;
    }
  }

  async #alone(upload: Upload, name: string, id: string, source: Source, work: () => Promise<void>): Promise<void> {
    while (upload.running) {
      upload.running.source.destroy?.();
      await upload.running.done.catch(() => undefined);
    }
    this.#find(name, id); // it may have ended meanwhile
    const done = work();
    upload.running = { source, done };
    try {
      await done;
    } finally {
      upload.running = undefined;
    }
  }

  async #remove(id: string, upload: Upload, breakOff = true): Promise<void> {
    this.#uploads.delete(id);
    if (breakOff) {
      upload.running?.source.destroy?.();
      await upload.running?.done.catch(() => undefined);
    }
    await rm(upload.file, { force: true });
  }

  async #giveUpIdle(): Promise<void> {
    const before = this.#now().getTime() - IDLE_MS;
    const idle = [...this.#uploads].filter(([, { touchedAt, running }]) => !running && touchedAt < before);
    for (const [id, upload] of idle) await this.#remove(id, upload);
  }

  #find(name: string, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload?.name === name) return upload;
    const message = `there is no upload ${id} to ${name}: it has ended, or the platform has restarted since`;
    throw new RegistryError(404, { code: "BLOB_UPLOAD_UNKNOWN", message });
  }
}

/** What says where an upload is and how far it has come. */
export function uploadHeaders(name: string, id: string, size: number): Record<string, string> {
  return {
    location: `/v2/${name}/blobs/uploads/${id}`,
    // The protocol counts the last byte in, and has no other word for none.
    range: `0-${Math.max(0, size - 1)}`,
    "docker-upload-uuid": id,
  };
}
