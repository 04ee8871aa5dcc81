/** What of a lock would have npm read something else than a registry: folders, files and git repositories of its machine. */
import type { Fault } from "../core/errors.ts";
import { DEPENDENCY_KINDS, type LockEntry, type PackageLock } from "./lockfiles/package-lock.ts";
import { exactVersion, LOCKED_NAME_PATTERN, LOCKED_PATH } from "./package-spec.ts";

const IS_NAME = new RegExp(`^${LOCKED_NAME_PATTERN}$`);
/** A version, a range or a tag; npm takes what begins with a dot or ends like an archive for a file. */
const IS_RANGE = /^(?!\.)(?!.*\.(?:tgz|tar\.gz|tar)$)[\w.*^~<>=|+ -]*$/i;
const IS_ALIAS = new RegExp(`^npm:${LOCKED_NAME_PATTERN}(?:@(.*))?$`);
/** npm takes addresses of these hosts for git repositories. */
const GIT_HOST = /^(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org|gist\.github\.com|git\.sr\.ht)$/i;

/** A fault, at `path`, for each package that does not come from a registry or an address. */
export function foreignPackages(lock: PackageLock, path: string): Fault[] {
  const messages = Object.entries(lock.packages).flatMap(([place, entry]) => {
    const name = place === "" ? "the project" : place.replace(/^node_modules\//, "");
    const ranges = DEPENDENCY_KINDS.flatMap((kind) => Object.entries(entry[kind] ?? {}))
      .filter(([, spec]) => !isRegistrySpec(spec))
      .map(([dependency, spec]) => `${name} asks for ${dependency} as ${shown(spec)}`);
    const overrides = place === "" && !areRegistrySpecs(entry["overrides"]) ? ["the overrides name such a place"] : [];
    return [...(place === "" ? [] : placeFaults(place, name, entry)), ...ranges, ...overrides];
  });
  return messages.map((message) => ({
    path,
    message: `${message}: the platform installs only from registries, not from folders, files or git`,
    hint: 'leave builder: "remote" out, and this machine builds',
  }));
}

function placeFaults(place: string, name: string, entry: LockEntry): string[] {
  const { name: innerName, version, resolved, link } = entry;
  if (!LOCKED_PATH.test(place)) return [`"${place}" is no place of a package`];
  if (innerName !== undefined && !IS_NAME.test(innerName)) return [`"${innerName}" is no name of a package`];
  if (link === true) return [`${name} is a link`];
  // npm reads that list when it installs, after everything here was looked at: an older one packs any folder that it names.
  if (entry["hasShrinkwrap"] || entry["_hasShrinkwrap"]) return [`${name} has a shrinkwrap`];
  if (resolved !== undefined) return isAddress(resolved) ? [] : [`${name} is ${shown(resolved)}`];
  return exactVersion(version) === undefined ? [`${name} has the version ${shown(version)}`] : [];
}

function isRegistrySpec(spec: unknown): boolean {
  if (typeof spec !== "string") return false;
  const text = spec.trim();
  return IS_RANGE.test(IS_ALIAS.test(text) ? (IS_ALIAS.exec(text)?.[1] ?? "") : text) || isAddress(text);
}

/** `$name` in overrides is the project's own version of that package, which is checked as well. */
function areRegistrySpecs(overrides: unknown): boolean {
  if (overrides === undefined) return true;
  if (typeof overrides !== "object" || overrides === null) {
    return isRegistrySpec(typeof overrides === "string" ? overrides.replace(/^\$/, "") : overrides);
  }
  return Object.values(overrides).every(areRegistrySpecs);
}

function isAddress(text: unknown): boolean {
  if (typeof text !== "string" || !/^https?:\/\//i.test(text)) return false;
  return URL.canParse(text) && !GIT_HOST.test(new URL(text).hostname);
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.replace(/\/\/[^/@\s"]+@/g, "//***@") ?? "nothing";
}
