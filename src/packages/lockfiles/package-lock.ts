import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { noteUse } from "../../core/last-use.ts";
import { writeAtomically } from "../../core/write-atomically.ts";
import { canonicalJson } from "../../oci/model.ts";
import type { NpmTarget } from "../npm-target.ts";
import type { PackageSpec } from "../package-spec.ts";

/** Fields of a package.json, and of a lock, with what a package needs when it runs. */
export const DEPENDENCY_KINDS = ["dependencies", "optionalDependencies", "peerDependencies"] as const;

/** One package of a package-lock.json, version 3. Only what appctl itself looks at is named. */
export interface LockEntry {
  name?: string;
  version?: string;
  resolved?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  hasInstallScript?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  [other: string]: unknown;
}

/** A package-lock.json, version 3. The key "" is the project itself; the others are paths such as `node_modules/hono`. */
export interface PackageLock {
  name: string;
  lockfileVersion: 3;
  requires: true;
  packages: Record<string, LockEntry>;
}

/** What a lock file can leave unsaid about packages; it is looked for in the packages once they are there. */
export type Unsaid = "platforms" | "bins" | "scripts";

/** What a list of packages came to: every package at one version. Plain data: it is kept as JSON. */
export interface ResolvedLock {
  /** The packages that were asked for, at the versions that they got, by name. */
  packages: { name: string; version: string }[];
  lock: PackageLock;
  /** What the lock file of another package manager does not say of its packages. */
  unsaid?: Unsaid[];
}

/** Name of the project that npm sees; nobody else does. */
export const PROJECT = "appctl-image";

/** A lock of no packages. */
export function emptyLock(): ResolvedLock {
  return {
    packages: [],
    lock: { name: PROJECT, lockfileVersion: 3, requires: true, packages: { "": { name: PROJECT } } },
  };
}

/** The package.json that goes with a list of packages. `dependencies` is in order of the names. */
export function projectManifest(specs: readonly PackageSpec[]): { name: string; dependencies: Record<string, string> } {
  const dependencies = specs.map(({ name, range }): [string, string] => [name, range ?? "*"]);
  return { name: PROJECT, dependencies: Object.fromEntries(dependencies.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** Makes a {@link ResolvedLock} of the text of npm's package-lock.json. Throws when a package of `specs` is not in it. */
export function readNpmLock(text: string, specs: readonly PackageSpec[]): ResolvedLock {
  const { packages }: { packages: Record<string, LockEntry> } = JSON.parse(text);
  const entries = Object.entries(packages)
    .filter(([path]) => path !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    packages: specs.map(({ name }) => {
      const version = packages[`node_modules/${name}`]?.version;
      if (version === undefined) throw new Error(`npm's lock file does not have ${name}`);
      return { name, version };
    }),
    lock: {
      name: PROJECT,
      lockfileVersion: 3,
      requires: true,
      packages: { "": projectManifest(specs), ...Object.fromEntries(entries) },
    },
  };
}

/**
 * What of a lock decides the bytes that get installed: path, name, version and integrity of every package. Addresses are
 * not in it (the same package from a mirror is the same package), except where a package has no integrity: then it is the
 * commit of a git dependency, and the address of any other.
 */
export function lockIdentity(lock: PackageLock): unknown[] {
  return Object.entries(lock.packages)
    .filter(([path]) => path !== "")
    .map(([path, { name, version, integrity, resolved }]) => {
      const from = integrity === undefined && typeof resolved === "string" ? resolved : undefined;
      const source = from?.startsWith("git") ? { commit: from.split("#")[1] } : { address: from };
      return { path, name, version, integrity, ...source };
    });
}

/** Packages of the lock that belong on `platform`, with their paths. */
export function entriesFor(lock: PackageLock, platform: NpmTarget): [path: string, entry: LockEntry][] {
  return Object.entries(lock.packages).filter(([path, entry]) => path !== "" && fits(entry, platform));
}

/** Whether a package of these `os`, `cpu` and `libc` belongs on `platform`. */
export function fits({ os, cpu, libc }: Pick<LockEntry, "os" | "cpu" | "libc">, platform: NpmTarget): boolean {
  return (
    allows(os, platform.os) && allows(cpu, platform.cpu) && (platform.libc === undefined || allows(libc, platform.libc))
  );
}

/** The same as `name@version`, once each. */
export function packagesFor(lock: PackageLock, platform: NpmTarget): string[] {
  return [
    ...new Set(entriesFor(lock, platform).map(([path, entry]) => `${packageName(path, entry)}@${entry.version}`)),
  ];
}

/** Path at which the package at the path `from` ("" is the project) finds `name`, as Node looks for it. */
export function locatePackage(
  packages: Readonly<Record<string, unknown>>,
  from: string,
  name: string,
): string | undefined {
  for (let at = from; ; at = parentOf(at)) {
    const path = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (at === "") return undefined;
  }
}

/** The package that has the one at `path` in its own `node_modules`; "" is the project. */
function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/node_modules/")));
}

/** The name of the package at `path` of a lock. */
export function packageName(path: string, entry: LockEntry): string {
  return entry.name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

/** npm's rule for `os`, `cpu` and `libc`: no list allows all, `!x` forbids x. */
function allows(list: string | string[] | undefined, value: string): boolean {
  const items = list === undefined ? [] : [list].flat();
  if (items.length === 0 || (items.length === 1 && items[0] === "any")) return true;
  if (items.includes(`!${value}`)) return false;
  return items.includes(value) || items.every((item) => item.startsWith("!"));
}

/** Resolved locks on disk, by what was asked for, so that a second build needs neither npm nor the network. */
export class LockCache {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The lock for `request` (any JSON value), or undefined. A file that is not whole counts as not there. */
  async read(request: unknown): Promise<ResolvedLock | undefined> {
    try {
      const file = this.#file(request);
      const cached: { v: number; resolved: ResolvedLock } = JSON.parse(await readFile(file, "utf8"));
      noteUse(file, Date.now());
      return cached.v === 1 && cached.resolved.lock.lockfileVersion === 3 ? cached.resolved : undefined;
    } catch {
      return undefined; // missing or damaged: it is made again, and written over
    }
  }

  /** Keeps the lock for `request`. */
  write(request: unknown, resolved: ResolvedLock): void {
    writeAtomically(this.#file(request), JSON.stringify({ v: 1, resolved }));
  }

  #file(request: unknown): string {
    return join(this.#dir, `${createHash("sha256").update(canonicalJson(request)).digest("hex")}.json`);
  }
}
