import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "../core/paths.ts";

/**
 * Removes what a killed platform was just writing below its directories: half blobs, half unpacked images, files that had
 * not got their name yet. None of it counts as anything. Only the holder of the platform's lock may call this.
 */
export function removeLeftovers({ state, shared }: Pick<Paths, "state" | "shared">): void {
  const content = [join(state, "content"), join(state, "content", "layers")];
  if (shared !== undefined) {
    const apps = join(shared, "apps");
    content.push(join(shared, "layers"), ...namesIn(apps).map((name) => join(apps, name)));
  }
  const temporary = [join(state, "images"), ...content].map((dir) => join(dir, ".tmp"));
  for (const dir of [...temporary, state]) {
    for (const name of namesIn(dir)) {
      if (dir !== state || UNFINISHED.test(name)) rmSync(join(dir, name), { recursive: true, force: true });
    }
  }
}

/** Files of the state directory itself that are written beside their name first. */
const UNFINISHED = /^(?:admin\.key|master\.key|platform\.json|app-users\.json)\.new$/;

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing was ever written there
  }
}
