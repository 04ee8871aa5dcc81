import {
  absence,
  disagreement,
  type LockedDependencies,
  type LockedProject,
  type LockGraph,
  lockFault,
  mapRanges,
  namesIn,
  originFault,
  type Ranges,
  type ReadLock,
  requiredPeers,
  unusualAddress,
} from "./lock-graph.ts";

interface Importer {
  dependencies?: Record<string, { specifier: string; version: string }>;
  optionalDependencies?: Importer["dependencies"];
  devDependencies?: Importer["dependencies"];
}
type Snapshot = Partial<LockedDependencies>;
interface Package {
  resolution?: { integrity?: string; tarball?: string; type?: string; directory?: string };
  os?: string[];
  cpu?: string[];
  libc?: string[];
  peerDependencies?: Ranges;
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
    throw new Error(version === "" ? "it has no lockfileVersion" : `its version is ${version} (expected 6 or 9)`);
  const importer = lock.importers === undefined ? lock : (lock.importers["."] ?? {});
  const faults: ReadLock["faults"] = [];
  const chosen = rootOf(lock, importer, project, written, faults);
  const needed = new Set<string>();
  const packages: LockGraph["packages"] = new Map();
  const ids = (from: string, refs: Ranges | undefined): Ranges =>
    mapRanges(refs, (name, ref) => {
      const id = findKey(lock, name, ref);
      if (id === undefined || packageOf(lock, id) === undefined || !/@\d/.test(plainKey(id))) {
        faults.push(
          originFault(name, ref) ?? lockFault(`${from} needs ${name} ${ref}, which ${written} does not have`),
        );
        return undefined;
      }
      needed.add(id);
      return id;
    });
  const needs = (from: string, { dependencies, optionalDependencies }: Snapshot): LockedDependencies => ({
    dependencies: ids(from, dependencies),
    optionalDependencies: ids(from, optionalDependencies),
  });
  const root = needs("package.json", chosen);
  for (const id of needed) {
    const [, name = "", version = ""] = /^(@?[^@]+)@(.+)$/.exec(plainKey(id)) ?? [];
    const { resolution = {}, os, cpu, libc, peerDependencies = {} } = packageOf(lock, id) ?? {};
    if (/\(patch_hash=/.test(id)) faults.push(originFault(name, `patch:${name}@${version}`) ?? lockFault(name));
    else if (resolution.type !== undefined || resolution.integrity === undefined) {
      const origin =
        resolution.directory !== undefined ? `file:${resolution.directory}` : (resolution.tarball ?? "git:");
      faults.push(originFault(name, origin) ?? lockFault(`${name} has no integrity in ${written}`));
    }
    const snapshot = lock.snapshots?.[id] ?? lock.packages?.[id] ?? {};
    const { integrity, tarball } = resolution;
    packages.set(id, {
      ...{ name, version, integrity, os, cpu, libc },
      resolved: unusualAddress(tarball, name, version),
      peers: Object.keys(peerDependencies),
      ...needs(name, snapshot),
    });
  }
  return { graph: { root, packages }, unsaid: ["bins", "scripts"], faults };
}

/** What the project needs when it runs, and the faults where package.json says something else. */
function rootOf(
  lock: PnpmLock,
  importer: Importer,
  project: LockedProject,
  written: string,
  faults: ReadLock["faults"],
): LockedDependencies {
  const requested = { ...project.dependencies, ...project.optionalDependencies };
  const locked = { ...importer.dependencies, ...importer.optionalDependencies };
  const chosen: LockedDependencies = { dependencies: {}, optionalDependencies: {} };
  for (const name of namesIn(requested, locked)) {
    const entry = locked[name];
    const fits =
      requested[name] === undefined
        ? project.peerDependencies?.[name] !== undefined // which pnpm adds to the dependencies
        : entry?.specifier === requested[name] || (entry !== undefined && lock.overrides?.[name] === entry.specifier);
    if (!fits) faults.push(disagreement(name, requested[name], entry?.specifier, written));
    else if (entry !== undefined) {
      const optional = project.optionalDependencies?.[name] !== undefined;
      chosen[optional ? "optionalDependencies" : "dependencies"][name] = entry.version;
    }
  }
  for (const name of requiredPeers(project)) {
    if (locked[name] !== undefined) continue;
    const entry = importer.devDependencies?.[name];
    if (entry !== undefined) chosen.dependencies[name] = entry.version;
    else if (lock.settings?.autoInstallPeers === "true") faults.push(absence("", name, written));
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
