import { splitSpec } from "../package-spec.ts";
import {
  absence,
  disagreements,
  type LockedProject,
  type LockGraph,
  lockFault,
  mapRanges,
  originFault,
  pick,
  type Ranges,
  type ReadLock,
  requiredPeers,
  unusualAddress,
  without,
} from "./lock-graph.ts";
import { DEPENDENCY_KINDS, locatePackage } from "./package-lock.ts";

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
  // Version 3 has overrides below a package; their result is in the packages, as before.
  if (version === undefined || ![0, 1, 2, 3].includes(version))
    throw new Error(`its version is ${version} (expected 0 to 3)`);
  const root = lock.workspaces?.[""] ?? {};
  // What is in both is optional, and bun writes it there alone.
  const [requested, locked] = [project, root].map((of) => ({
    ...of,
    dependencies: without(of.dependencies, of.optionalDependencies),
  }));
  const faults = DEPENDENCY_KINDS.flatMap((kind) => disagreements(requested?.[kind], locked?.[kind], written));
  const paths = Object.fromEntries(Object.entries(lock.packages ?? {}).map(([key, entry]) => [pathOf(key), entry]));
  const needed = new Set<string>();
  const packages: LockGraph["packages"] = new Map();
  const ids = (from: string, ranges: Ranges | undefined, optional: boolean): Ranges =>
    mapRanges(ranges, (name) => {
      const path = locatePackage(paths, from, name);
      if (path !== undefined) needed.add(path);
      else if (!optional) faults.push(absence(from, name, written));
      return path;
    });
  const needs = (from: string, { dependencies, optionalDependencies, peerDependencies }: Info, peers: string[]) => ({
    dependencies: {
      ...ids(
        from,
        pick(peerDependencies, (name) => peers.includes(name)),
        true,
      ),
      ...ids(from, without(dependencies, optionalDependencies), false),
    },
    optionalDependencies: ids(from, optionalDependencies, true),
  });
  const rootNeeds = needs("", root, requiredPeers(project));
  for (const path of needed) {
    const [resolution = "", address, described, integrity] = paths[path] ?? [];
    const { name, range: version = "" } = splitSpec(resolution);
    const patched = lock.patchedDependencies?.[resolution];
    const origin = patched === undefined ? version : `patch:${patched}`;
    const fault =
      originFault(name, origin) ??
      (/^\d+\.\d+\.\d+/.test(version) ? undefined : lockFault(`${resolution} in ${written} is not a version`));
    if (fault !== undefined) faults.push(fault);
    const info = (fault === undefined ? described : {}) as Info;
    const required = Object.keys(info.peerDependencies ?? {}).filter((peer) => !info.optionalPeers?.includes(peer));
    packages.set(path, {
      ...{ name, version, bin: info.bin, os: list(info.os), cpu: list(info.cpu), libc: list(info.libc) },
      integrity: typeof integrity === "string" && integrity !== "" ? integrity : undefined,
      resolved: unusualAddress(typeof address === "string" ? address : undefined, name, version),
      ...(info.hasInstallScript ? { hasInstallScript: true } : {}),
      peers: [],
      ...needs(path, info, required),
    });
  }
  return {
    graph: { root: rootNeeds, packages },
    places: new Map([...needed].map((path) => [path, path])),
    // bun does not write for which C library a package is, and only newly which have install scripts.
    unsaid: version < 2 ? ["platforms", "scripts"] : ["platforms"],
    faults,
  };
}

/** `@a/b/c` is `node_modules/@a/b/node_modules/c`. */
function pathOf(key: string): string {
  return (key.match(/@[^/]+\/[^/]+|[^/]+/g) ?? []).map((name) => `node_modules/${name}`).join("/");
}

function list(value: string | string[] | undefined): string[] | undefined {
  return value === undefined ? undefined : [value].flat();
}
