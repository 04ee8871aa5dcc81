import { existsSync, type Stats, statSync, utimesSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { OciLayout } from "../oci/layout.ts";

/** What was used within this time is not marked again, in milliseconds: far less than what is left of all that was used. */
export const FINE_MS = 600_000;

/**
 * The images of this machine, which commands of several processes make and use. Whoever is told that something is there may
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

/** When a file or a folder was used last, in milliseconds since 1970. */
export function lastUseOf(found: Stats): number {
  return found.isDirectory() ? found.mtimeMs : Math.max(found.atimeMs, found.mtimeMs);
}

/** Notes that a file or a folder is used; false when it is not there. Does not wait. */
export function noteUse(path: string, now: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return false;
  const used = new Date(now);
  // To look into a folder, were it for its size, changes its access time.
  if (lastUseOf(found) < now - FINE_MS) utimesSync(path, used, found.isDirectory() ? used : found.mtime);
  return true;
}
