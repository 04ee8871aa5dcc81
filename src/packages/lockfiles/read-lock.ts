/** Reads lock files: each comes to the lock of npm that installs the same packages. */
import type { LockfileName } from "../../contract/lockfiles.ts";
import { type Fault, messageOf } from "../../core/errors.ts";
import { readBunLock } from "./bun.ts";
import { type LockedProject, type LockGraph, type LockReader, lockFault, type ResolvedLockfile } from "./lock-graph.ts";
import { mergeSame } from "./merge-same.ts";
import { readPackageLock } from "./npm.ts";
import { type LockEntry, PROJECT } from "./package-lock.ts";
import { all, lockEntries, placePackages } from "./place-packages.ts";
import { readPnpmLock } from "./pnpm.ts";
import { readYarnBerryLock } from "./yarn-berry.ts";
import { readYarnClassicLock } from "./yarn-classic.ts";

const readYarnLock: LockReader = (text, project, written) =>
  (/^__metadata:/m.test(text) ? readYarnBerryLock : readYarnClassicLock)(text, project, written);

const READERS: Record<Exclude<LockfileName, "package-lock.json">, LockReader> = {
  "pnpm-lock.yaml": readPnpmLock,
  "yarn.lock": readYarnLock,
  "bun.lock": readBunLock,
};

/** The packages that the lock file `text` has for `project`, and every fault that keeps them from being installed. */
export async function readLock(
  name: LockfileName,
  text: string,
  project: LockedProject,
  written: string,
): Promise<ResolvedLockfile> {
  if (name === "package-lock.json") return readPackageLock(text, project, written);
  const read = await Promise.resolve()
    .then(() => READERS[name](text, project, written))
    .catch((error: unknown) => messageOf(error));
  if (typeof read === "string") return { faults: [lockFault(`${written} is not a readable lockfile: ${read}`)] };
  const { places, unsaid } = read;
  const faults = [...new Map(read.faults.map((fault) => [fault.message, fault])).values()];
  if (faults.length > 0) return { faults };
  const graph = places === undefined ? mergeSame(read.graph) : read.graph;
  const placed = places === undefined ? placePackages(graph) : { places };
  if ("without" in placed) return { faults: [noFolders(placed.without, graph, written)] };
  const { root, entries } = lockEntries(graph, placed.places);
  const packages: Record<string, LockEntry> = { "": { name: PROJECT, ...root }, ...entries };
  return {
    faults,
    resolved: {
      packages: Object.entries(all(graph.root))
        .map(([name, id]) => ({ name, version: graph.packages.get(id)?.version ?? "" }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      lock: { name: PROJECT, lockfileVersion: 3, requires: true, packages },
      unsaid,
    },
  };
}

/** The fault of packages for which there is no node_modules. */
function noFolders(ids: readonly string[], { packages }: LockGraph, written: string): Fault {
  const of = ids.flatMap((id) => packages.get(id) ?? []);
  const labels = [...new Set(of.map(({ name, version }) => `${name} ${version}`))].sort();
  const listed = labels.length > 12 ? [...labels.slice(0, 12), `${labels.length - 12} more`] : labels;
  const names = [...new Set(of.map(({ name }) => name))].sort();
  const who = new Intl.ListFormat("en").format(listed);
  return lockFault(
    labels.length > 1
      ? `${who} need each other in a circle, and no node_modules gives each of them what ${written} has for it`
      : `no node_modules gives ${who} and what it needs what ${written} has for them`,
    `Hold ${names.length > 12 ? "them" : new Intl.ListFormat("en", { type: "disjunction" }).format(names)} at one version, with the overrides or resolutions of package.json.`,
  );
}
