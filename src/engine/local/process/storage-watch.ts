/**
 * Keeps replicas from filling the disk. No file system here has quotas that a program may set, so what a replica has written
 * is added up, as the kubelet does it for ephemeral storage, and one that has more than its limit is ended.
 */
import { lstat, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { listProcesses, type ProcessEntry, processTree } from "./proc.ts";

/** A replica to watch. */
export interface WatchedStorage {
  /** Directories of the replica's own. */
  dirs: readonly string[];
  limitBytes: number;
  pid: number;
  /** Called once, when it has more than its limit. */
  over(): void;
}

/** Time between two looks at the free space, in milliseconds. */
export const STORAGE_LOOK_MS = 1_000;
/** Files are added up when so much less is free than at the last time, in bytes. */
const NOTICEABLE = 64 * 1024 * 1024;
/** And at least this often, in milliseconds: somebody else may have made room meanwhile. */
const LONGEST_PAUSE_MS = 60_000;
/** What an entry of a directory takes at the least: a million empty files fill a disk, too. */
const ENTRY_BYTES = 1024;

/** Watches every replica of a platform; one look at the file system's free space serves all. */
export class StorageWatch {
  readonly #dir: string;
  readonly #watched = new Set<WatchedStorage>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #freeThen = Number.POSITIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** `dir` lies on the file system that replicas write to. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Watches a replica until the returned function is called. */
  add(replica: WatchedStorage): () => void {
    this.#watched.add(replica);
    this.#timer ??= setInterval(() => void this.#look(), STORAGE_LOOK_MS).unref();
    return () => {
      this.#watched.delete(replica);
      if (this.#watched.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { bavail, bsize } = await statfs(this.#dir);
      const free = bavail * bsize;
      const now = performance.now();
      if (free > this.#freeThen - NOTICEABLE && now - this.#lookedAt < LONGEST_PAUSE_MS) return;
      this.#freeThen = free;
      this.#lookedAt = now;
      const processes = listProcesses();
      for (const replica of [...this.#watched]) {
        const bytes = await storageOf(replica, processes);
        if (bytes <= replica.limitBytes || !this.#watched.delete(replica)) continue;
        replica.over();
      }
    } catch {
      // the directory is gone with its platform
    } finally {
      this.#looking = false;
    }
  }
}

/** What the replica's files take, in bytes; stops adding up once it is over the limit. */
async function storageOf({ dirs, pid, limitBytes }: WatchedStorage, processes: ProcessEntry[]): Promise<number> {
  let bytes = 0;
  const pending = [...dirs];
  for (let dir = pending.pop(); dir !== undefined && bytes <= limitBytes; dir = pending.pop()) {
    const names = await readdir(dir).catch(() => []); // removed meanwhile, or closed by the app against itself
    for (const name of names) {
      const path = join(dir, name);
      const found = await lstat(path).catch(() => undefined); // removed meanwhile
      if (found === undefined) continue;
      bytes += Math.max(found.blocks * 512, ENTRY_BYTES);
      if (found.isDirectory()) pending.push(path);
      if (bytes > limitBytes) return bytes;
    }
  }
  return bytes + (await nameless(processTree(pid, processes)));
}

/** Bytes of files that have no name any more but are still open in these processes. */
async function nameless(pids: readonly number[]): Promise<number> {
  const files = new Map<string, number>();
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const found = await stat(`/proc/${pid}/fd/${fd}`).catch(() => undefined); // closed meanwhile
      if (found?.isFile() && found.nlink === 0) files.set(`${found.dev}:${found.ino}`, found.blocks * 512);
    }
  }
  return [...files.values()].reduce((sum, size) => sum + size, 0);
}
