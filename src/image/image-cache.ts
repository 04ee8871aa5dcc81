import { existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { FINE_MS, lastUseOf, noteUse } from "../core/last-use.ts";
import { OciLayout } from "../oci/layout.ts";

/**
 * The images of this machine, which commands of several processes make and use. A caller that finds something in it may
 * count on it: that it is used is noted in its access time, by which what nobody uses is found and taken away. Both happen
 * under the lock that the processes share, so that nothing goes between the look and the note.
 */
export class ImageCache extends OciLayout {
  /**
   * To wait for the disk at each blob takes longer than to make it: that is done when there is time, by {@link syncCache}. What a
   * loss of power leaves empty before counts as missing; other bytes are seen when they are used, taken out, and made again by
   * the next command.
   */
  protected override readonly durable = false;
  readonly #now: () => number;

  constructor(dir: string, now: () => number = Date.now) {
    super(dir);
    this.#now = now;
  }

  protected override named(path: string): void {
    unsynced.add(path);
  }

  override async hasBlob(digest: string, size?: number): Promise<boolean> {
    const path = this.blobPath(digest);
    const found = statSync(path, { throwIfNoEntry: false });
    // Without bytes is what a loss of power leaves of a file; nothing of an image is empty.
    const isWhole = found?.isFile() === true && found.size > 0 && (size === undefined || found.size === size);
    return isWhole && this.use(path);
  }

  override async use(path: string): Promise<boolean> {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found || lastUseOf(found) >= this.#now() - FINE_MS) return found !== undefined;
    // Another user's, or on a disk that is only read: nobody of this user takes it away either.
    return this.locked(() => noteUse(path, this.#now())).catch(() => existsSync(path));
  }
}

/** Blobs that this process has written, and has not seen on the disk. */
const unsynced = new Set<string>();

/** Waits until what this process has put into caches is on the disk. Never rejects: a cache does without what it has not. */
export async function syncCache(): Promise<void> {
  const paths = [...unsynced];
  unsynced.clear();
  const sync = async (path: string) => {
    const file = await open(path, "r");
    await file.sync().finally(() => file.close());
  };
  await Promise.allSettled(paths.map(sync));
  await Promise.allSettled([...new Set(paths.map(dirname))].map(sync));
}
