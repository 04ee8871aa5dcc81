/** Packages that a lock file keeps apart, and that are the same. */
import type { LockedPackage, LockGraph } from "./lock-graph.ts";

/**
 * The graph with one package for all that have the same version and get the same, all the way down. pnpm names a package by
 * the peers that it gets, and peers of each other by as much of the circle as it came along; folders for each of these names
 * would be the same package many times over, or no folders at all.
 */
export function mergeSame(graph: LockGraph): LockGraph {
  let groups = grouped(graph, ({ name, version, integrity, resolved, peers }) => [
    ...[name, version, integrity, resolved],
    ...[...peers].sort(),
  ]);
  // Those that get different packages are taken apart until there are none.
  for (let count = 0; count !== size(groups); ) {
    count = size(groups);
    const before = groups;
    const refs = (of: Record<string, string>) =>
      Object.entries(of)
        .map(([name, id]) => [name, before.get(id)])
        .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
    groups = grouped(graph, ({ dependencies, optionalDependencies }, id) => [
      ...[before.get(id), refs(dependencies), refs(optionalDependencies)],
    ]);
  }
  const ids = (of: Record<string, string>) =>
    Object.fromEntries(Object.entries(of).map(([name, id]) => [name, groups.get(id) ?? id]));
  const merged = <T extends Pick<LockedPackage, "dependencies" | "optionalDependencies">>(of: T): T => ({
    ...of,
    dependencies: ids(of.dependencies),
    optionalDependencies: ids(of.optionalDependencies),
  });
  const kept = [...graph.packages].filter(([id]) => groups.get(id) === id);
  return { root: merged(graph.root), packages: new Map(kept.map(([id, of]) => [id, merged(of)])) };
}

/** Every id with the first one that has the same key. */
function grouped({ packages }: LockGraph, keyOf: (of: LockedPackage, id: string) => unknown): Map<string, string> {
  const first = new Map<string, string>();
  return new Map(
    [...packages].map(([id, of]) => {
      const key = JSON.stringify(keyOf(of, id));
      if (!first.has(key)) first.set(key, id);
      return [id, first.get(key) ?? id];
    }),
  );
}

function size(groups: ReadonlyMap<string, string>): number {
  return new Set(groups.values()).size;
}
