import {
  type LockedDependencies,
  type LockedProject,
  type LockGraph,
  lockFault,
  originFault,
  type ReadLock,
  requiredPeers,
  unusualAddress,
} from "./lock-graph.ts";

type Refs = Record<string, string>;
interface Importer {
  dependencies?: Record<string, { specifier: string; version: string }>;
  optionalDependencies?: Importer["dependencies"];
  devDependencies?: Importer["dependencies"];
}
interface Snapshot {
  dependencies?: Refs;
  optionalDependencies?: Refs;
}
interface Package {
  resolution?: { integrity?: string; tarball?: string; type?: string; directory?: string };
  os?: string[];
  cpu?: string[];
  libc?: string[];
  peerDependencies?: Record<string, string>;
}
interface PnpmLock extends Importer {
  lockfileVersion?: string;
  settings?: { autoInstallPeers?: string };
  overrides?: Record<string, string>;
  importers?: Record<string, Importer>;
  packages?: Record<string, Package & Snapshot>;
  snapshots?: Record<string, Snapshot>;
}

/** Reads a pnpm-lock.yaml of version 6 or 9. Both name a package by its version and by the peers that it gets. */
export async function readPnpmLock(text: string, project: LockedProject, written: string): Promise<ReadLock> {
  const { parse } = await import("../../core/yaml.ts");
  // A second document is about pnpm itself, and comes first. Without types, since a version may look like a number.
  const last = text.split(/^---[ \t]*\r?$/m).at(-1) ?? "";
  const lock: PnpmLock | null = parse(last, { schema: "failsafe" });
  const version = String(lock?.lockfileVersion ?? "");
  if (!lock || !/^[69]\./.test(version))
    throw new Error(version === "" ? "it has no lockfileVersion" : `it is of version ${version}, and 6 or 9 is needed`);
  const importer = lock.importers === undefined ? lock : (lock.importers["."] ?? {});
  const graph: LockGraph = { root: { dependencies: {}, optionalDependencies: {} }, packages: new Map() };
  const read: ReadLock = { graph, unsaid: ["bins", "scripts"], faults: [] };
  const chosen = rootOf(lock, importer, project, written, read);

  const wanted: string[] = [];
  const ids = (from: string, refs: Refs): Refs => {
    const found = Object.entries(refs).flatMap(([name, ref]): [string, string][] => {
      const id = findKey(lock, name, ref);
      if (id !== undefined && packageOf(lock, id) !== undefined && /@\d/.test(plainKey(id))) {
        wanted.push(id);
        return [[name, id]];
      }
      read.faults.push(
        originFault(name, ref) ?? lockFault(`${from} needs ${name} ${ref}, which ${written} does not have`),
      );
      return [];
    });
    return Object.fromEntries(found);
  };
  graph.root = {
    dependencies: ids("package.json", chosen.dependencies),
    optionalDependencies: ids("package.json", chosen.optionalDependencies),
  };
  for (let id = wanted.shift(); id !== undefined; id = wanted.shift()) {
    if (graph.packages.has(id)) continue;
    const [, name = "", version = ""] = /^(@?[^@]+)@(.+)$/.exec(plainKey(id)) ?? [];
    const { resolution = {}, os, cpu, libc, peerDependencies = {} } = packageOf(lock, id) ?? {};
    if (/\(patch_hash=/.test(id)) read.faults.push(originFault(name, `patch:${name}@${version}`) ?? lockFault(name));
    else if (resolution.type !== undefined || resolution.integrity === undefined) {
      const origin =
        resolution.directory !== undefined ? `file:${resolution.directory}` : (resolution.tarball ?? "git:");
      read.faults.push(originFault(name, origin) ?? lockFault(`${name} has no integrity in ${written}`));
    }
    const snapshot = lock.snapshots?.[id] ?? lock.packages?.[id] ?? {};
    const { integrity, tarball } = resolution;
    graph.packages.set(id, {
      ...{ name, version, integrity, os, cpu, libc },
      resolved: unusualAddress(tarball, name, version),
      peers: Object.keys(peerDependencies),
      dependencies: ids(name, snapshot.dependencies ?? {}),
      optionalDependencies: ids(name, snapshot.optionalDependencies ?? {}),
    });
  }
  return read;
}

/** What the project needs when it runs, and the faults where package.json says something else. */
function rootOf(
  lock: PnpmLock,
  importer: Importer,
  project: LockedProject,
  written: string,
  { faults }: ReadLock,
): LockedDependencies {
  const asked = { ...project.dependencies, ...project.optionalDependencies };
  const locked = { ...importer.dependencies, ...importer.optionalDependencies };
  const chosen: LockedDependencies = { dependencies: {}, optionalDependencies: {} };
  for (const name of [...new Set([...Object.keys(asked), ...Object.keys(locked)])].sort()) {
    const entry = locked[name];
    const fits =
      asked[name] === undefined
        ? project.peerDependencies?.[name] !== undefined // which pnpm adds to the dependencies
        : entry?.specifier === asked[name] || (entry !== undefined && lock.overrides?.[name] === entry.specifier);
    if (!fits)
      faults.push(
        lockFault(
          `${name} is ${asked[name] ?? "not there"} in package.json and ${entry?.specifier ?? "not there"} in ${written}`,
        ),
      );
    else if (entry !== undefined) {
      const optional = project.optionalDependencies?.[name] !== undefined;
      chosen[optional ? "optionalDependencies" : "dependencies"][name] = entry.version;
    }
  }
  for (const name of requiredPeers(project)) {
    if (locked[name] !== undefined) continue;
    const entry = importer.devDependencies?.[name];
    if (entry !== undefined) chosen.dependencies[name] = entry.version;
    else if (lock.settings?.autoInstallPeers === "true")
      faults.push(lockFault(`package.json needs ${name}, which ${written} does not have`));
  }
  return chosen;
}

/** The key of `name` at `ref`: the version with its peers, or the whole key when `name` is an alias. */
function findKey({ packages = {}, snapshots = packages }: PnpmLock, name: string, ref: string): string | undefined {
  return [`${name}@${ref}`, `/${name}@${ref}`, ref].find((key) => Object.hasOwn(snapshots, key));
}

function packageOf({ packages = {} }: PnpmLock, key: string): Package | undefined {
  return packages[key] ?? packages[key.replace(/\(.*$/, "")];
}

/** `name@version`, without peers. */
function plainKey(key: string): string {
  return key.replace(/^\//, "").replace(/\(.*$/, "");
}
