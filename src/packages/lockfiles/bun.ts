import { splitSpec } from "../package-spec.ts";
import {
  type LockedProject,
  type LockGraph,
  lockFault,
  originFault,
  type ReadLock,
  requiredPeers,
  unusualAddress,
} from "./lock-graph.ts";
import { DEPENDENCY_KINDS, locatePackage } from "./package-lock.ts";

type Ranges = Record<string, string>;
interface Info {
  dependencies?: Ranges;
  optionalDependencies?: Ranges;
  peerDependencies?: Ranges;
  optionalPeers?: string[];
  os?: string | string[];
  cpu?: string | string[];
  libc?: string | string[];
  bin?: unknown;
  hasInstallScript?: boolean;
}
interface Workspace extends Info {
  devDependencies?: Ranges;
}
interface BunLock {
  lockfileVersion?: number;
  workspaces?: Record<string, Workspace>;
  packages?: Record<string, [resolution: string, ...rest: unknown[]]>;
  patchedDependencies?: Record<string, string>;
}

/**
 * Reads a bun.lock, which is JSON with commas at the ends of lists. Its keys are paths (`tree/leaf`): bun has said already
 * where each package lies, and that is kept.
 */
export function readBunLock(text: string, project: LockedProject, written: string): ReadLock {
  const lock: BunLock = JSON.parse(text.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string) => string ?? ""));
  const version = lock.lockfileVersion;
  // Version 3 has overrides below a package; what they come to is in the packages, as ever.
  if (version === undefined || ![0, 1, 2, 3].includes(version))
    throw new Error(`it is of version ${version}, and one of 0 to 3 is needed`);
  const root = lock.workspaces?.[""] ?? {};
  const graph: LockGraph = { root: { dependencies: {}, optionalDependencies: {} }, packages: new Map() };
  // What is in both is optional, and bun writes it there alone.
  const [asked, locked] = [project, root].map((of) => ({
    ...of,
    dependencies: without(of.dependencies, of.optionalDependencies),
  }));
  const faults = DEPENDENCY_KINDS.flatMap((kind) => disagreements(asked?.[kind], locked?.[kind], written));
  const places = new Map<string, string>();
  // bun does not write for which C library a package is, and only newly which have install scripts.
  const read: ReadLock = { graph, places, unsaid: version < 2 ? ["platforms", "scripts"] : ["platforms"], faults };
  const paths = Object.fromEntries(Object.entries(lock.packages ?? {}).map(([key, entry]) => [pathOf(key), entry]));

  const wanted: string[] = [];
  const ids = (from: string, ranges: Ranges, optional: boolean): Ranges => {
    const found = Object.keys(ranges).flatMap((name): [string, string][] => {
      const path = locatePackage(paths, from, name);
      if (path === undefined) {
        if (!optional)
          faults.push(lockFault(`${from || "package.json"} needs ${name}, which ${written} does not have`));
        return [];
      }
      wanted.push(path);
      return [[name, path]];
    });
    return Object.fromEntries(found);
  };
  const peers = pick(root.peerDependencies, requiredPeers(project));
  const { optionalDependencies = {} } = root;
  graph.root = {
    dependencies: { ...ids("", peers, true), ...ids("", without(root.dependencies, optionalDependencies), false) },
    optionalDependencies: ids("", optionalDependencies, true),
  };
  for (let path = wanted.shift(); path !== undefined; path = wanted.shift()) {
    if (graph.packages.has(path)) continue;
    const [resolution = "", address, described, integrity] = paths[path] ?? [];
    const { name, range: version = "" } = splitSpec(resolution);
    const patched = lock.patchedDependencies?.[resolution];
    const origin = patched === undefined ? version : `patch:${patched}`;
    const fault =
      originFault(name, origin) ??
      (/^\d+\.\d+\.\d+/.test(version) ? undefined : lockFault(`${resolution} in ${written} is not a version`));
    if (fault !== undefined) faults.push(fault);
    const info = (fault === undefined ? described : {}) as Info;
    places.set(path, path);
    const required = Object.keys(info.peerDependencies ?? {}).filter((peer) => !info.optionalPeers?.includes(peer));
    graph.packages.set(path, {
      ...{ name, version, bin: info.bin, os: list(info.os), cpu: list(info.cpu), libc: list(info.libc) },
      integrity: typeof integrity === "string" && integrity !== "" ? integrity : undefined,
      resolved: unusualAddress(typeof address === "string" ? address : undefined, name, version),
      ...(info.hasInstallScript ? { hasInstallScript: true } : {}),
      peers: [],
      dependencies: {
        ...ids(path, pick(info.peerDependencies, required), true),
        ...ids(path, without(info.dependencies, info.optionalDependencies), false),
      },
      optionalDependencies: ids(path, info.optionalDependencies ?? {}, true),
    });
  }
  return read;
}

/** bun writes package.json's own words. */
function disagreements(asked: Ranges = {}, locked: Ranges = {}, written: string) {
  return [...new Set([...Object.keys(asked), ...Object.keys(locked)])]
    .sort()
    .filter((name) => asked[name] !== locked[name])
    .map((name) =>
      lockFault(
        `${name} is ${asked[name] ?? "not there"} in package.json and ${locked[name] ?? "not there"} in ${written}`,
      ),
    );
}

/** `@a/b/c` is `node_modules/@a/b/node_modules/c`. */
function pathOf(key: string): string {
  return (key.match(/@[^/]+\/[^/]+|[^/]+/g) ?? []).map((name) => `node_modules/${name}`).join("/");
}

function list(value: string | string[] | undefined): string[] | undefined {
  return value === undefined ? undefined : [value].flat();
}

function pick(ranges: Ranges = {}, names: readonly string[]): Ranges {
  return Object.fromEntries(Object.entries(ranges).filter(([name]) => names.includes(name)));
}

function without(ranges: Ranges = {}, others: Ranges = {}): Ranges {
  return Object.fromEntries(Object.entries(ranges).filter(([name]) => others[name] === undefined));
}
