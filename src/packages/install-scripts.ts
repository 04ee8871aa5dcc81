import { packageName, type ResolvedLock } from "./lockfiles/package-lock.ts";
import type { PackageContext } from "./package-context.ts";

/** Says whose install scripts are left out. */
export function scriptWarnings(
  { lock }: ResolvedLock,
  { allowScripts, aboutScripts = "--allow-scripts runs them" }: Pick<PackageContext, "allowScripts" | "aboutScripts">,
): string[] {
  const names = namesWithScripts(lock);
  if (names.length === 0 || allowScripts) return [];
  return [`install scripts are not run (${aboutScripts}): ${names.join(", ")}`];
}

/** Names of the packages that have install scripts; all names where the lock file does not say which have some. */
export function packagesWithScripts({ lock, unsaid }: ResolvedLock): string[] {
  return namesWithScripts(lock, unsaid?.includes("scripts"));
}

function namesWithScripts(lock: ResolvedLock["lock"], any = false): string[] {
  const scripts = Object.entries(lock.packages).filter(
    ([path, entry]) => path !== "" && (any || entry.hasInstallScript === true),
  );
  return [...new Set(scripts.map(([path, entry]) => packageName(path, entry)))].sort();
}
