/** Which packages of a lock `npm ci` would install, and where: all that fit the platform, and what these alone need. */
import type * as Versions from "../../core/versions.ts";
import { fits, type LockEntry, locatePackage, type PackageLock } from "../lockfiles/package-lock.ts";
import type { NpmTarget } from "../npm-target.ts";
import { LOCKED_PATH } from "../package-spec.ts";
import { ensure } from "./leave-to-npm.ts";

/** One package to be installed. `path` is such as `node_modules/hono`. */
export interface PlannedPackage {
  path: string;
  entry: LockEntry;
}

/** What packages can be chosen by. */
export interface InstallContext {
  platform: NpmTarget;
  /** The platform that npm runs on. */
  host: NpmTarget;
  /** Version of the Node that npm runs with; undefined when it is not known. */
  nodeVersion: string | undefined;
  /** How npm reads ranges. */
  versions: typeof Versions;
}

/** An arrow of the lock: the package at `from` ("" is the project) finds the one at `to` by `name`. */
interface Edge {
  from: string;
  name: string;
  to: string | undefined;
  range: string;
  optional: boolean;
  peer: boolean;
}

/** The packages, by their paths. Throws LeaveToNpm where npm would have to choose, warn or fail, and for all but plain packages. */
export function planPackages({ packages }: PackageLock, at: InstallContext): PlannedPackage[] {
  const root = packages[""] ?? {};
  ensure(root["overrides"] === undefined, "the project has overrides");
  ensure(root["workspaces"] === undefined, "the project has workspaces");
  const paths = Object.keys(packages).filter((path) => path !== "");
  for (const path of paths) checkEntry(path, packages[path] as LockEntry);
  ensure(new Set(paths.map((path) => path.toLowerCase())).size === paths.length, "names differ only in case");

  const edges = Object.entries(packages).flatMap(([from, entry]) => edgesOf(packages, from, entry));
  for (const edge of edges) checkEdge(edge, packages, at);
  const out = groupBy(edges, ({ from }) => from);
  const into = groupBy(edges, ({ to }) => to ?? "");
  // npm counts what is only an optional peer of something as nobody's.
  const needed = reach(out, ({ peer, optional }) => !(peer && optional));
  ensure(needed.size === paths.length, "the lock has packages that nothing needs");

  const required = reach(out, ({ optional }) => !optional);
  for (const path of required) {
    const entry = packages[path] as LockEntry;
    const restricted = entry.os ?? entry.cpu ?? entry.libc;
    ensure(restricted === undefined || (fits(entry, at.platform) && fits(entry, at.host)), `${path} does not fit`);
  }
  const left = new Set<string>();
  for (const path of paths) {
    const entry = packages[path] as LockEntry;
    if (required.has(path) || left.has(path) || fitsHere(path, entry, at)) continue;
    for (const each of optionalSet(path, out, into, left)) left.add(each);
  }
  const installed = paths.filter((path) => !left.has(path));
  for (const path of installed)
    for (const kind of ["inBundle", "bundleDependencies", "bundledDependencies", "hasShrinkwrap"])
      ensure(!packages[path]?.[kind], `${path} is marked as ${kind}`);
  ensure(installed.length > 0, "nothing fits the platform");
  for (const path of left)
    ensure(!required.has(path) && !installed.some((other) => other.startsWith(`${path}/`)), `${path} is half needed`);
  return installed.map((path) => ({ path, entry: packages[path] as LockEntry }));
}

function checkEntry(path: string, entry: LockEntry): void {
  ensure(
    LOCKED_PATH.test(path) && !/(?:^|\/)(?:\.|node_modules\/node_modules)/.test(path),
    `${path} is an unusual place`,
  );
  for (const kind of ["link", "extraneous", "dev"]) ensure(!entry[kind], `${path} is marked as ${kind}`);
  ensure(typeof entry.version === "string", `${path} has no version`);
  const { resolved } = entry;
  ensure(typeof entry.integrity === "string" || entry["inBundle"], `${path} has no integrity`);
  ensure(
    resolved === undefined || (typeof resolved === "string" && /^https?:\/\//.test(resolved)),
    `${path} has an unusual source`,
  );
  ensure(entry.name === undefined || typeof entry.name === "string", `${path} has an unusual name`);
}

function edgesOf(packages: PackageLock["packages"], from: string, entry: LockEntry): Edge[] {
  const edges = new Map<string, Edge>();
  const meta = (entry["peerDependenciesMeta"] ?? {}) as Record<string, { optional?: boolean } | undefined>;
  for (const kind of ["peerDependencies", "dependencies", "optionalDependencies"] as const) {
    for (const [name, range] of Object.entries(entry[kind] ?? {})) {
      ensure(typeof range === "string", `${from} has an unusual dependency`);
      const peer = kind === "peerDependencies";
      const optional = kind === "optionalDependencies" || (peer && meta[name]?.optional === true);
      edges.set(name, { from, name, to: locatePackage(packages, from, name), range, optional, peer });
    }
  }
  return [...edges.values()];
}

/** npm sets right what does not fit; a lock that needs that is npm's to judge. */
function checkEdge(
  { from, name, to, range, optional, peer }: Edge,
  packages: PackageLock["packages"],
  { versions }: InstallContext,
): void {
  const what = `${from || "the project"} needs ${name}@${range}`;
  ensure(to !== undefined || (peer && optional), `${what}, which the lock does not have`);
  if (to === undefined) return;
  ensure(!peer || from === "" || to !== `${from}/node_modules/${name}`, `${what}, a peer, below itself`);
  const alias = /^npm:(?:@[^/@]+\/)?[^/@]+(?:@(.*))?$/.exec(range);
  const found = packages[to]?.version ?? "";
  ensure(
    versions.satisfiesDependency(found, alias?.[1] ?? (alias ? "*" : range)),
    `${what}, and finds another version`,
  );
}

/** The packages that the project reaches by edges that `follows` is true for. */
function reach(out: Map<string, Edge[]>, follows: (edge: Edge) => boolean): Set<string> {
  const found = new Set([""]);
  for (const path of found)
    for (const edge of out.get(path) ?? []) if (edge.to !== undefined && follows(edge)) found.add(edge.to);
  found.delete("");
  return found;
}

function fitsHere(path: string, entry: LockEntry, { platform, nodeVersion, versions }: InstallContext): boolean {
  if (!fits(entry, platform) || (entry.libc !== undefined && platform.libc === undefined)) return false;
  const engines = (entry["engines"] ?? {}) as Record<string, unknown>;
  // An optional package that does not go with this Node is left out.
  ensure(engines["npm"] === undefined, `${path} asks for an npm`);
  const { node } = engines;
  ensure(
    node === undefined ||
      (typeof node === "string" && nodeVersion !== undefined && versions.satisfiesEngine(nodeVersion, node)),
    `${path} asks for Node ${String(node)}`,
  );
  return true;
}

/** What goes with the optional package at `path`: who cannot be without it, and what nobody else needs. As npm's optionalSet. */
function optionalSet(
  path: string,
  out: Map<string, Edge[]>,
  into: Map<string, Edge[]>,
  left: ReadonlySet<string>,
): Set<string> {
  const set = new Set([path]);
  for (const each of set) for (const edge of into.get(each) ?? []) if (!edge.optional) set.add(edge.from);
  ensure(!set.has(""), `the project cannot be without ${path}`);
  const counts = ({ from, to }: Edge) => to !== undefined && !set.has(to) && !left.has(from);
  const all = new Set(set);
  for (const each of all) for (const edge of out.get(each) ?? []) if (counts(edge)) all.add(edge.to as string);
  for (let changed = true; changed; ) {
    changed = false;
    for (const each of all) {
      if (!(into.get(each) ?? []).some((edge) => !all.has(edge.from) && counts(edge))) continue;
      all.delete(each);
      changed = true;
    }
  }
  return all;
}

function groupBy(edges: readonly Edge[], keyOf: (edge: Edge) => string): Map<string, Edge[]> {
  const groups = new Map<string, Edge[]>();
  for (const edge of edges) {
    const group = groups.get(keyOf(edge));
    if (group === undefined) groups.set(keyOf(edge), [edge]);
    else group.push(edge);
  }
  return groups;
}
