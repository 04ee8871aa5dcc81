/** A lock file's graph as folders: where each package has to lie so that Node finds for every import what is locked. */

import type { LockedDependencies, LockedPackage, LockGraph } from "./lock-graph.ts";
import { type LockEntry, locatePackage } from "./package-lock.ts";

/** How often a package may lie below itself. Once and twice happen in trees that end; those that do not go on for ever. */
const MAX_NESTED = 2;
/** Folders of packages that a project can have. Circles can branch so often that they never get deep. */
const MAX_FOLDERS = 20_000;

/** Places of packages, or the ids of those that no folders were found for. */
export type Placed = { places: Map<string, string> } | { without: string[] };

/**
 * Gives every package that the project needs a path (`node_modules/hono`), as far up as it can stand, and below what needs
 * it where versions conflict. Peers are found where the package is that needs them. Answers ids by path.
 *
 * Packages that need each other in a circle, in several versions, can have no such places: a node_modules has one package of
 * a name, so that each version asks again for a folder below the other one. Some do when nothing is moved up.
 */
export function placePackages(graph: LockGraph): Placed {
  const high = place(graph, true);
  if ("places" in high) return high;
  const low = place(graph, false);
  return "places" in low ? low : high;
}

function place({ root, packages }: LockGraph, movesUp: boolean): Placed {
  const placed: Record<string, string> = Object.create(null);
  // Places that have to stay free: something below looks through them and finds what it needs further up.
  const free = new Set<string>();
  const keepFree = (from: string, name: string, found: string) => {
    for (const owner of owners(from)) {
      if (slot(owner, name) === found) return;
      free.add(slot(owner, name));
    }
  };
  const queue = [""];
  for (const at of queue) {
    const has = at === "" ? root : known(packages, placed[at]);
    for (const [name, id] of inOrder(has, packages)) {
      const { peers, ...dependencies } = known(packages, id);
      const needs = all(dependencies);
      // Peers of each other: this one goes first, next to the other one, which has no place yet.
      const coming = (peer: string, path: string | undefined) =>
        needs[peer] === undefined && all(has)[peer] !== undefined && placed[path ?? ""] !== all(has)[peer];
      // A peer that the lock gives in another version than lies here is like any other dependency.
      const shared = peers.flatMap((peer): [peer: string, path: string | undefined][] => {
        const path = locatePackage(placed, at, peer);
        const wanted = needs[peer];
        const other = wanted !== undefined && (path === undefined || placed[path] !== wanted);
        return other || coming(peer, path) ? [] : [[peer, path]];
      });
      const stays = peers.some((peer) => coming(peer, locatePackage(placed, at, peer)));
      const sees = (from: string) => shared.every(([peer, path]) => locatePackage(placed, from, peer) === path);
      let path = locatePackage(placed, at, name);
      if (path === undefined || placed[path] !== id || stays || !sees(path)) {
        path = slot(at, name);
        for (const owner of movesUp && !stays ? owners(at) : []) {
          const higher = slot(owner, name);
          if (placed[higher] !== undefined) break;
          if (!free.has(higher) && sees(owner)) path = higher;
        }
        const nested = owners(path).filter((owner) => placed[owner] === id).length;
        if (nested > MAX_NESTED || queue.length > MAX_FOLDERS) return { without: circleOf(id, packages) };
        placed[path] = id;
        queue.push(path);
      }
      for (const [peer, found] of shared) if (found !== undefined) keepFree(path, peer, found);
      keepFree(at, name, path);
    }
  }
  const strayed = strayedPeer(root, packages, placed);
  return strayed === undefined ? { places: new Map(Object.entries(placed)) } : { without: strayed };
}

/** A package that does not find the peer that the package has which needs it, with that peer: peers of each other can. */
function strayedPeer(
  root: LockedDependencies,
  packages: LockGraph["packages"],
  placed: Readonly<Record<string, string>>,
): string[] | undefined {
  for (const at of ["", ...Object.keys(placed)]) {
    const has = all(at === "" ? root : known(packages, placed[at]));
    for (const [name, id] of Object.entries(has)) {
      const { peers, ...dependencies } = known(packages, id);
      const path = locatePackage(placed, at, name) ?? "";
      for (const peer of peers) {
        const given = has[peer];
        if (given === undefined || all(dependencies)[peer] !== undefined) continue;
        if (locatePackage(placed, path, peer) !== locatePackage(placed, at, peer)) return [id, given];
      }
    }
  }
  return undefined;
}

/** The packages that need `id` and that it needs, itself among them. */
function circleOf(id: string, packages: LockGraph["packages"]): string[] {
  const reach = (from: string) => {
    const found = new Set([from]);
    for (const next of found) for (const to of Object.values(all(known(packages, next)))) found.add(to);
    return found;
  };
  return [...reach(id)].filter((other) => reach(other).has(id));
}

/** Packages before those that have them as peers, else by name. */
function inOrder(of: LockedDependencies, packages: LockGraph["packages"]): [name: string, id: string][] {
  const left = Object.entries(all(of)).sort(([a], [b]) => (a < b ? -1 : 1));
  const ordered: typeof left = [];
  while (left.length > 0) {
    const waits = ([, id]: [string, string]) =>
      known(packages, id).peers.some((peer) => left.some(([name, other]) => name === peer && other !== id));
    const next = left.findIndex((item) => !waits(item));
    ordered.push(...left.splice(Math.max(0, next), 1)); // peers of each other: the first goes first
  }
  return ordered;
}

/**
 * The entries of a package-lock.json for packages at `places`. What they ask for is written as the exact version that lies
 * there, so that npm has nothing to choose. Throws when a package would find another one than is locked: that is a bug.
 */
export function lockEntries(
  { root, packages }: LockGraph,
  places: ReadonlyMap<string, string>,
): { root: LockEntry; entries: Record<string, LockEntry> } {
  const paths = Object.fromEntries(places);
  const find = (from: string, name: string, id: string): string => {
    const path = locatePackage(paths, from, name);
    if (path === undefined || paths[path] !== id) throw new Error(`${from || "the project"} does not find its ${name}`);
    return path;
  };
  const exact = (from: string, of: Record<string, string>) => {
    const found = Object.entries(of).map(([name, id]): [string, string] => {
      find(from, name, id);
      const target = known(packages, id);
      return [name, name === target.name ? target.version : `npm:${target.name}@${target.version}`];
    });
    return found.length === 0 ? undefined : Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  // npm gives up when a package cannot be had that is not optional, or is for another platform.
  const required = new Set<string>([""]);
  for (const from of required) {
    const { dependencies } = from === "" ? root : known(packages, paths[from]);
    for (const [name, id] of Object.entries(dependencies)) required.add(find(from, name, id));
  }
  const entry = (path: string, id: string): LockEntry => {
    const { name, version, integrity, resolved, os, cpu, libc, bin, hasInstallScript, ...needs } = known(packages, id);
    return compact({
      name: path.endsWith(`node_modules/${name}`) ? undefined : name,
      ...{ version, resolved, integrity, os, cpu, libc, bin, hasInstallScript },
      optional: required.has(path) ? undefined : true,
      dependencies: exact(path, needs.dependencies),
      optionalDependencies: exact(path, needs.optionalDependencies),
    });
  };
  const sorted = [...places].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    root: compact({
      dependencies: exact("", root.dependencies),
      optionalDependencies: exact("", root.optionalDependencies),
    }),
    entries: Object.fromEntries(sorted.map(([path, id]) => [path, entry(path, id)])),
  };
}

/** All that is needed, whether optional or not. */
export function all({ dependencies, optionalDependencies }: LockedDependencies): Record<string, string> {
  return { ...dependencies, ...optionalDependencies };
}

function compact(entry: Record<string, unknown>): LockEntry {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}

function known(packages: LockGraph["packages"], id: string | undefined): LockedPackage {
  const found = packages.get(id ?? "");
  if (found === undefined) throw new Error(`the lock has no package ${id}`);
  return found;
}

/** `from` and everything that has it in its `node_modules`, up to the project. */
function owners(from: string): string[] {
  const list = [from];
  for (let at = from; at !== ""; list.push(at)) at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")));
  return list;
}

function slot(owner: string, name: string): string {
  return owner === "" ? `node_modules/${name}` : `${owner}/node_modules/${name}`;
}
