/** When files were used last, by which what nobody uses is found: their access times. */
import { type Stats, statSync, utimesSync } from "node:fs";

/** What was used within this time is not marked again, in milliseconds: far less than what is left of all that was used. */
export const FINE_MS = 600_000;

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
