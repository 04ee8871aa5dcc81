import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { LOCKFILE_NAMES, LOCKFILES } from "../contract/lockfiles.ts";

/** The command that adds packages to the project of the folder `dir`, in the words of its package manager: `pnpm add hono`. */
export function addCommand(dir: string, packages: readonly string[]): string {
  const name = LOCKFILE_NAMES.find((lockfile) => existsSync(join(dir, lockfile)));
  const isProject = name !== undefined || existsSync(join(dir, "package.json"));
  if (!isProject && dirname(dir) !== dir) return addCommand(dirname(dir), packages);
  return [LOCKFILES[name ?? "package-lock.json"].add, ...packages].join(" ");
}
