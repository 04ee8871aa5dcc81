import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const DAY_MS = 24 * 3600 * 1000;

/** Removes what killed processes left in `dir`, a folder of files that are written and then moved: all that is a day old. */
export async function removeOld(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    const left = await stat(path).catch(() => undefined); // its owner has just moved it
    if (left !== undefined && left.mtimeMs < Date.now() - DAY_MS) await rm(path, { recursive: true, force: true });
  }
}
