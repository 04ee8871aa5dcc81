/** Versions and ranges of npm packages. A file of its own, loaded when versions are compared: semver takes its time. */
import compare from "semver/functions/compare.js";
import parse from "semver/functions/parse.js";
import satisfies from "semver/functions/satisfies.js";

/**
 * Negative when version `a` (`1.2.3`, `1.2.3-beta.1`) is older than `b`, positive when it is newer, 0 when they are equal.
 * Build metadata does not count. A text that is not a version counts as `0.0.0`.
 */
export function compareVersions(a: string, b: string): number {
  return compare(parse(a) ?? "0.0.0", parse(b) ?? "0.0.0");
}

/**
 * True when npm takes `version` for a dependency on `range`, by the rules of arborist's `dep-valid.js`: `*` takes every
 * version, other ranges take only pre-releases of the versions that they name. False for tags and addresses.
 */
export function satisfiesDependency(version: string, range: string): boolean {
  const trimmed = range.trim();
  return trimmed === "" || trimmed === "*" || satisfies(version, trimmed, { loose: true });
}

/** True when npm takes `version` of Node for `range` in a package's `engines`, where ranges include pre-releases. */
export function satisfiesEngine(version: string, range: string): boolean {
  return satisfies(version, range, { includePrerelease: true });
}
