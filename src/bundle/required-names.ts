import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Names of the packages that the project of a lockfile depends on, from the package.json next to it. None when that cannot be
 * read: building the image says so, with what to do.
 */
export function requiredNames(lockFile: string): string[] {
  try {
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(dirname(lockFile), "package.json"), "utf8"),
    );
    return [...new Set([...Object.keys(dependencies ?? {}), ...Object.keys(optionalDependencies ?? {})])];
  } catch {
    return []; // as said above
  }
}
