/** What this machine's cache has and nobody has used for a while: found and taken away, whatever other commands do meanwhile. */
import { renameSync, statSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { lastUseOf } from "../core/last-use.ts";
import { removeLeftWork } from "../core/work-dir.ts";
import { collectGarbage } from "../oci/garbage.ts";
import { ImageCache } from "./image-cache.ts";

/** What stays although nobody needs it now, since a command may be about to, in milliseconds. */
export const CACHE_RECENT_MS = 3600_000;
/** The same for what commands remove by themselves. */
export const CACHE_KEPT_MS = 7 * 24 * 3600_000;
/** Lists of packages, each at its version, take little space, and without one the next deploy may get other versions. */
const LOCK_KEPT_MS = 90 * 24 * 3600_000;

/** What goes. */
export interface CacheGarbageOptions {
  /** Whatever was used within this time stays, in milliseconds. */
  keptMs: number;
  now: number;
  /** Only say what would go. */
  dryRun?: boolean | undefined;
  /** Ends it between two steps; what is gone by then is gone. */
  signal?: AbortSignal | undefined;
}

/** What went, or would go. */
export interface CacheGarbageResult {
  /** Names of images. */
  images: string[];
  /** Content of images, and whatever else lies in files of its own. */
  files: number;
  /** Unpacked packages. */
  folders: number;
  bytes: number;
}

/** Takes away what of the cache in `cacheDir` was not used for a while. Any number of processes may use it at the same time. */
export async function collectCache(cacheDir: string, options: CacheGarbageOptions): Promise<CacheGarbageResult> {
  const { keptMs, now, dryRun, signal } = options;
  const cache = new ImageCache(join(cacheDir, "images"), () => now);
  const before = now - keptMs;
  const { images, blobs, bytes } = await collectGarbage(cache, {
    needed: [],
    keepName: () => false,
    before,
    dryRun,
    signal,
  });
  const total = { images, files: blobs, folders: 0, bytes };
  for (const [dir, since] of [
    [join(cache.dir, "damaged"), before],
    [join(cacheDir, "locks"), now - Math.max(keptMs, LOCK_KEPT_MS)],
  ] as const) {
    for (const path of await oldIn(dir, since)) {
      signal?.throwIfAborted();
      total.files++;
      total.bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (!dryRun) await rm(path, { force: true });
    }
  }
  for (const layers of await unpackedIn(cacheDir)) {
    for (const path of await oldIn(layers, before)) {
      signal?.throwIfAborted();
      const size = await sizeOf(path);
      if (!dryRun && !(await removeFolder(cache, path, join(layers, ".tmp"), before))) continue;
      total.folders++;
      total.bytes += size;
    }
  }
  if (!dryRun) {
    await removeNotes(cache);
    await removeLeftWork(join(cacheDir, "tmp"));
  }
  return total;
}

/** Folders of unpacked layers: one for each start of the machine, and one where the system does not tell them apart. */
async function unpackedIn(cacheDir: string): Promise<string[]> {
  const content = join(cacheDir, "content");
  const starts = (await namesIn(content)).filter((name) => name !== "layers" && !name.startsWith("."));
  return [content, ...starts.map((name) => join(content, name))].map((dir) => join(dir, "layers"));
}

/** Takes a folder away, unless somebody uses it again; in one step, so that no half of it is ever found. */
async function removeFolder(cache: ImageCache, path: string, temporary: string, before: number): Promise<boolean> {
  const aside = join(temporary, `unused-${path.slice(path.lastIndexOf("/") + 1)}`);
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await rm(aside, { recursive: true, force: true }); // of one that was killed
  const moved = await cache.locked(() => {
    if (!isOld(path, before)) return false;
    renameSync(path, aside);
    return true;
  });
  if (moved) await rm(aside, { recursive: true, force: true });
  return moved;
}

/** Notes of what archives came to, where that is gone. */
async function removeNotes(cache: ImageCache): Promise<void> {
  const dir = join(cache.dir, "compressed");
  for (const version of await namesIn(dir)) {
    for (const name of await namesIn(join(dir, version))) {
      const path = join(dir, version, name);
      const digest = await readFile(path, "utf8").then(digestIn, () => undefined);
      if (digest === undefined || !cache.isStored(digest)) await rm(path, { force: true });
    }
  }
}

function digestIn(note: string): string | undefined {
  return /"digest":"(sha256:[0-9a-f]{64})"/.exec(note)?.[1];
}

/** Paths of what lies in `dir` and was not used since; what is still being written does not count. */
async function oldIn(dir: string, since: number): Promise<string[]> {
  const paths = (await namesIn(dir)).filter((name) => !name.startsWith(".")).map((name) => join(dir, name));
  return paths.filter((path) => isOld(path, since));
}

function isOld(path: string, since: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && lastUseOf(found) < since;
}

/** Bytes of all files below a folder. */
async function sizeOf(dir: string): Promise<number> {
  let size = 0;
  for (const { name, parentPath } of await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const found = await lstat(join(parentPath, name)).catch(() => undefined);
    if (found?.isFile()) size += found.size;
  }
  return size;
}

function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []); // nothing of the kind was ever made
}
