/** A lockfile of any package manager: packages at one version each, and the dependencies of each. */
import type { Fault } from "../../core/errors.ts";
import type { ResolvedLock, Unsaid } from "./package-lock.ts";

/** Ranges or versions, or ids of the packages that they came to, by the name that is imported. */
export type Ranges = Record<string, string>;

/** What a package, or the project, depends on: ids by the name that it imports. */
export interface LockedDependencies {
  dependencies: Ranges;
  optionalDependencies: Ranges;
}

/** A package at its locked version. */
export interface LockedPackage extends LockedDependencies {
  /** Its own name, which is not that of an alias. */
  name: string;
  version: string;
  /** Hash of the tarball, as npm writes it. */
  integrity?: string | undefined;
  /** Address of the tarball, where the registry's does not follow from name and version. */
  resolved?: string | undefined;
  os?: string[] | undefined;
  cpu?: string[] | undefined;
  libc?: string[] | undefined;
  bin?: unknown;
  hasInstallScript?: true | undefined;
  /** Names that it finds where the package is that needs it. */
  peers: string[];
}

/** A lock file as a graph. `packages` are by id, which only this graph knows. */
export interface LockGraph {
  root: LockedDependencies;
  packages: Map<string, LockedPackage>;
}

/** What a reader makes of a lock file. With faults there may be gaps in the graph. */
export interface ReadLock {
  graph: LockGraph;
  /** Path of every package below the project, such as `node_modules/hono`, where the lock file says that too. */
  places?: Map<string, string>;
  unsaid: Unsaid[];
  faults: Fault[];
}

/** What of the project's package.json the readers look at. */
export interface LockedProject {
  dependencies?: Ranges;
  devDependencies?: Ranges;
  optionalDependencies?: Ranges;
  peerDependencies?: Ranges;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  resolutions?: Ranges;
  overrides?: unknown;
}

/** Reads a lock file. `written` is its name in messages. Throws a plain Error when the text is not one. */
export type LockReader = (text: string, project: LockedProject, written: string) => ReadLock | Promise<ReadLock>;

/** What a lock file comes to. With faults it is not to be installed; `next` is what mends them, if not the usual command. */
export interface ResolvedLockfile {
  resolved?: ResolvedLock;
  faults: Fault[];
  next?: string;
}

/** The place of a lockfile in the user's file, for messages. */
const FIELD = "containerImage.requirements";

/** The project's peers that are not optional: it does not run without them. */
export function requiredPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: LockedProject): string[] {
  return Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
}

/** A fault of the lock file. */
export function lockFault(message: string, hint?: string): Fault {
  return { path: FIELD, message, ...(hint === undefined ? {} : { hint }) };
}

/** The fault of a package that a lock file has otherwise than package.json, which has it as `requested`. */
export function disagreement(name: string, requested: string | undefined, locked: string | undefined, written: string) {
  const absent = "not there";
  return lockFault(`${name} is ${requested ?? absent} in package.json and ${locked ?? absent} in ${written}`);
}

/** {@link disagreement} for each name whose range is not the same in both. */
export function disagreements(requested: Ranges = {}, locked: Ranges = {}, written: string): Fault[] {
  return namesIn(requested, locked)
    .filter((name) => requested[name] !== locked[name])
    .map((name) => disagreement(name, requested[name], locked[name], written));
}

/** The fault of a package that the lock file does not have. `from` is the path of what needs it, "" for the project. */
export function absence(from: string, name: string, written: string): Fault {
  return lockFault(`${from || "package.json"} needs ${name}, which ${written} does not have`);
}

/** The keys of all, each once, sorted. */
export function namesIn(...all: object[]): string[] {
  return [...new Set(all.flatMap(Object.keys))].sort();
}

/** The ranges of the names that `wanted` is true for. */
export function pick(ranges: Ranges = {}, wanted: (name: string) => boolean): Ranges {
  return Object.fromEntries(Object.entries(ranges).filter(([name]) => wanted(name)));
}

/** The ranges of names that `others` does not have. */
export function without(ranges: Ranges = {}, others: Ranges = {}): Ranges {
  return pick(ranges, (name) => others[name] === undefined);
}

/** What `idOf` gives for each range; without those that it gives undefined for. */
export function mapRanges(ranges: Ranges = {}, idOf: (name: string, range: string) => string | undefined): Ranges {
  const ids = Object.entries(ranges).map(([name, range]) => [name, idOf(name, range)] as const);
  return Object.fromEntries(ids.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

const ORIGINS: [RegExp, string][] = [
  [/^workspace:/, "a package of the workspace"],
  [/^(?:link|portal|file):|^\.{0,2}\//, "a folder or a file of this machine"],
  [/^patch:/, "a package with a patch"],
  [/^(?:git\b|github:|gitlab:|bitbucket:|gist:|ssh:)|^https?:.*\.git(?:#|$)/, "a git repository"],
  [/^https?:/, "an address outside of a registry"],
  [/^(?!npm:)[a-z]+:/, "no package of a registry"],
  [/^[^@:]+\/[^@:]+$/, "a git repository"],
];

/** The fault of a package that comes from elsewhere than a registry; undefined when it does not. */
export function originFault(name: string, origin: string): Fault | undefined {
  const what = ORIGINS.find(([pattern]) => pattern.test(origin))?.[1];
  if (what === undefined) return undefined;
  return lockFault(
    `${name} is ${origin}: ${what}, which cannot be installed as locked`,
    "Publish it, or import it by its path: it is bundled then.",
  );
}

/**
 * The address of a tarball when it has to be kept. What a registry's address is by name and version is left out: npm takes
 * the registry of the project's .npmrc, wherever the lock file was written.
 */
export function unusualAddress(address: string | undefined, name: string, version: string): string | undefined {
  if (!address) return undefined;
  const plain = decodeURIComponent(address.replace(/[#?].*$/, ""));
  const file = `${name.split("/").at(-1)}-${version.replace(/\+.*$/, "")}.tgz`;
  return plain.endsWith(`/${name}/-/${file}`) || !/^https?:/.test(plain) ? undefined : address.replace(/#.*$/, "");
}
