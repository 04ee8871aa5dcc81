/** Folders for the moment in which a command works with files that somebody else has to find: esbuild, a thread. */
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes an empty one (0700) in the system's folder for such, and gives its real path. The caller removes it. */
export function makeScratch(kind: "bundle" | "describe"): string {
  return mkdtempSync(join(realpathSync(tmpdir()), `appctl-${kind}-`));
}

/** Removes those of this user that killed commands have left: not changed since `before`, in milliseconds since the epoch. */
export function removeLeftScratch(before: number): void {
  const parent = realpathSync(tmpdir());
  for (const name of readdirSync(parent)) {
    if (!/^appctl-(?:bundle|describe)-\w{6}$/.test(name)) continue;
    const path = join(parent, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    if (found.mtimeMs < before) rmSync(path, { recursive: true, force: true });
  }
}
