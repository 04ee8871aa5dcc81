import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Names of lock files that an ImageSpec's `requirements` may have. */
export const LOCK_NAMES = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"] as const;

/**
 * Names of the packages that the project of a lock file depends on, from the package.json beside it. None when that cannot be
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
