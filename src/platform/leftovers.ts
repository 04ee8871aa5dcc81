import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * Removes what a killed platform was just writing below the state directory: half blobs, half unpacked images, files that
 * had not got their name yet. None of it counts as anything. Only the holder of the platform's lock may call this.
 */
export function removeLeftovers(state: string): void {
  for (const dir of [join(state, "images", ".tmp"), join(state, "content", ".tmp"), state]) {
    for (const name of namesIn(dir)) {
      if (dir !== state || UNFINISHED.test(name)) rmSync(join(dir, name), { recursive: true, force: true });
    }
  }
}

/** Files of the state directory itself that are written beside their name first. */
const UNFINISHED = /^(?:admin\.key\.new|master\.key\.new|platform\.json\.new)$/;

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing was ever written there
  }
}
