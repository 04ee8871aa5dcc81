/** What a lock file says, whoever's it is: packages at one version each, and which of them each one gets. */
import type { Fault } from "../../core/errors.ts";

/** What a package, or the project, depends on: ids by the name that it imports. */
export interface LockedDependencies {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
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

/** What a lock file can leave unsaid about packages; it is looked for in the packages once they are there. */
export type Unsaid = "platforms" | "bins" | "scripts";

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
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  resolutions?: Record<string, string>;
}

/** Reads a lock file. `written` is its name in messages. Throws a plain Error when the text is not one. */
export type LockReader = (text: string, project: LockedProject, written: string) => ReadLock | Promise<ReadLock>;

/** Where a lock file stands in the user's file, for messages. */
export const FIELD = "containerImage.requirements";

/** The project's peers that are not optional: it does not run without them. */
export function requiredPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: LockedProject): string[] {
  return Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
}

/** A fault of the lock file. */
export function lockFault(message: string, hint?: string): Fault {
  return { path: FIELD, message, ...(hint === undefined ? {} : { hint }) };
}

const ORIGINS: [RegExp, string][] = [
  [/^workspace:/, "a package of the workspace"],
  [/^(?:link|portal|file):|^\.{0,2}\//, "a folder or a file of this machine"],
  [/^patch:/, "a package with a patch"],
  [/^(?:git\b|github:|gitlab:|bitbucket:|gist:|ssh:)|^https?:.*\.git(?:#|$)/, "a git repository"],
  [/^https?:/, "an address that is no registry's"],
  [/^(?!npm:)[a-z]+:/, "nothing that a registry has"],
  [/^[^@:]+\/[^@:]+$/, "a git repository"],
];

/** The fault of a package that comes from elsewhere than a registry; undefined when it does not. */
export function originFault(name: string, origin: string): Fault | undefined {
  const what = ORIGINS.find(([pattern]) => pattern.test(origin))?.[1];
  if (what === undefined) return undefined;
  return lockFault(
    `${name} is ${origin}: ${what}, which cannot be installed exactly as it is locked`,
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
