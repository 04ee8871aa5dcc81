import { statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeLeftSystemWork } from "../../core/work-dir.ts";

/** How often commands look, in milliseconds. */
const EVERY_MS = 24 * 3600_000;

/**
 * Takes away what of this machine's cache was not used for a week, and what killed commands left in the system's folder for
 * temporary files, once a day: for the time in which a command waits, or is done. What cannot be cleared up is no failure of
 * the command; the next day it is tried again.
 */
export async function tidyCache(cacheDir: string, now: number, signal: AbortSignal): Promise<void> {
  const stamp = join(cacheDir, "tidied");
  const last = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // A clock that was ahead for a while is no reason to wait until then.
  if (last <= now && last > now - EVERY_MS) return;
  try {
    // First of all, so that of several commands at once one does it.
    await writeFile(stamp, "");
    const { CACHE_KEPT_MS, collectCache } = await import("../../image/cache-garbage.ts");
    await collectCache(cacheDir, { keptMs: CACHE_KEPT_MS, now, signal });
    removeLeftSystemWork(now - EVERY_MS);
  } catch {
    return; // as said
  }
}
