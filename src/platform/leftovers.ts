import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "../core/paths.ts";
import { removeTreeSync } from "../core/remove-tree.ts";
import { isDigestHex } from "../oci/model.ts";

/**
 * Removes what a killed platform was just writing below its directories: half blobs, half unpacked images, files that had
 * not got their name yet. None of it counts as anything. Only the holder of the platform's lock may call this. `boot` is of
 * this start of the machine and of no other; empty where the system does not say.
 */
export function removeLeftovers(paths: Pick<Paths, "state" | "shared">, boot: string): void {
  const { state } = paths;
  removeUnsafe(paths, boot);
  // What was unpacked may lack what a loss of power took; containers that have it still are about to be removed.
  removeTreeSync(mountedDir(state));
  const temporary = [join(state, "images"), ...contentDirs(paths)].map((dir) => join(dir, ".tmp"));
  for (const dir of [...temporary, state]) {
    for (const name of namesIn(dir)) {
      if (dir !== state || UNFINISHED.test(name)) removeTreeSync(join(dir, name));
    }
  }
  removeWork(join(state, "builds", "tmp"));
}

/**
 * Removes what was unpacked before the machine started. Images are safe on the disk when a deploy is accepted; what is unpacked
 * of them is not waited for, and a loss of power may have left files of it empty. They are unpacked again.
 */
function removeUnsafe(paths: Pick<Paths, "state" | "shared">, boot: string): void {
  const note = join(paths.state, "boot");
  if (boot === "" || readOrNothing(note) === boot) return;
  for (const dir of contentDirs(paths)) {
    for (const name of namesIn(dir)) {
      if (isDigestHex(name)) removeTreeSync(join(dir, name));
    }
  }
  writeFileSync(note, boot, { mode: 0o600 });
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // the first start
  }
}

/** Folders of builds. A worker of the killed platform may still be about to end, and clears up itself then. */
function removeWork(dir: string): void {
  try {
    removeTreeSync(dir);
  } catch {
    // Something still writes there. The next build removes the folders of those that have ended.
  }
}

/** Folders with unpacked images and layers, each named by its digest. */
export function contentDirs({ state, shared }: Pick<Paths, "state" | "shared">): string[] {
  const content = [join(state, "content"), join(state, "content", "layers"), mountedDir(state)];
  if (shared === undefined) return content;
  const apps = join(shared, "apps");
  return [...content, join(shared, "layers"), ...namesIn(apps).map((name) => join(apps, name))];
}

/** Where app layers are unpacked whose files are mounted into containers. */
export function mountedDir(state: string): string {
  return join(state, "content", "mounted");
}

/** Temporary names of files of the state directory, which are renamed when they are complete. */
const UNFINISHED = /^(?:admin\.key|master\.key|platform\.json|app-users\.json)\.new$/;

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing was ever written there
  }
}
