/** npm's lockfile. The others are translated to its form, so of this one only what the project does not need is left out. */
import { type Fault, messageOf } from "../../core/errors.ts";
import { absence, disagreements, type LockedProject, lockFault, type ResolvedLockfile } from "./lock-graph.ts";
import { DEPENDENCY_KINDS, type LockEntry, locatePackage, type PackageLock, PROJECT } from "./package-lock.ts";

/** Writes a lockfile where none is, or one that cannot be read. */
export const CREATE_COMMAND = "npm install --package-lock-only";

/** What of package.json decides which packages npm installs. Scripts of the project are not ours to run. */
const MANIFEST_FIELDS = [...DEPENDENCY_KINDS, "peerDependenciesMeta", "overrides"] as const;
type Manifest = Pick<LockedProject, (typeof MANIFEST_FIELDS)[number]>;

/** Reads a package-lock.json: the packages that `project` needs when it runs, at the locked versions. */
export function readPackageLock(text: string, project: LockedProject, written: string): ResolvedLockfile {
  const manifest: Manifest = Object.fromEntries(
    MANIFEST_FIELDS.flatMap((field) => (project[field] === undefined ? [] : [[field, project[field]]])),
  );
  const lock = parsePackageLock(text, written);
  if ("faults" in lock) return lock;
  const differences = DEPENDENCY_KINDS.flatMap((kind) =>
    disagreements(manifest[kind], lock.packages[""]?.[kind], written),
  );
  if (differences.length > 0) return { faults: differences };
  const { needed, faults } = neededPackages(manifest, lock, written);
  const names = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).sort();
  const packages = names.flatMap((name) => {
    const version = needed.get(`node_modules/${name}`)?.version;
    return version === undefined ? [] : [{ name, version }];
  });
  const entries = [...needed].sort(([a], [b]) => (a < b ? -1 : 1));
  const root = { "": { name: PROJECT, ...manifest } };
  return {
    resolved: {
      packages,
      lock: {
        name: PROJECT,
        lockfileVersion: 3,
        requires: true,
        packages: { ...root, ...Object.fromEntries(entries) },
      },
    },
    faults,
  };
}

function parsePackageLock(text: string, written: string): PackageLock | ResolvedLockfile {
  let lock: Partial<Record<keyof PackageLock, unknown>> | null;
  try {
    lock = JSON.parse(text);
  } catch (error) {
    return { faults: [lockFault(`${written} is not JSON: ${messageOf(error)}`)], next: CREATE_COMMAND };
  }
  const { lockfileVersion: version, packages } = lock ?? {};
  if ((version !== 2 && version !== 3) || typeof packages !== "object" || packages === null) {
    const message =
      version === 1
        ? `${written} is a lockfile of version 1, which lacks what appctl needs`
        : `${written} is not a lockfile of version 2 or 3`;
    return { faults: [lockFault(message)], next: `${CREATE_COMMAND} --lockfile-version=3` };
  }
  const faults = Object.entries(packages)
    .filter(([, entry]) => typeof entry !== "object" || entry === null)
    .map(([path]) => lockFault(`${written} has no package at "${path}", but something else`));
  return faults.length > 0 ? { faults, next: CREATE_COMMAND } : (lock as PackageLock);
}

/** The packages that `import` can reach from the project, by their paths in the lock. */
function neededPackages(manifest: Manifest, { packages }: PackageLock, written: string) {
  const needed = new Map<string, LockEntry>();
  const faults: Fault[] = [];
  const queue: [path: string, entry: Manifest | LockEntry][] = [["", manifest]];
  for (const [from, entry] of queue) {
    for (const kind of DEPENDENCY_KINDS) {
      for (const name of Object.keys(entry[kind] ?? {})) {
        const path = locatePackage(packages, from, name);
        const found = path === undefined ? undefined : packages[path];
        if (path === undefined || found === undefined) {
          // What is optional may be left out of a lock; peers are left out where the user's npm does not add them.
          const isRequired = kind === "dependencies" && entry.optionalDependencies?.[name] === undefined;
          if (isRequired) faults.push(absence(from, name, written));
          continue;
        }
        // A package for development may stand in for an optional peer; it is not installed for that.
        if (found["dev"] === true || needed.has(path)) continue;
        needed.set(path, found);
        if (found["link"] === true || /^file:/.test(found.resolved ?? "")) {
          const message = `${name} is a folder or a file of this machine, which no lockfile can pin`;
          faults.push(lockFault(message, "Publish it, or import it by its path: it is bundled then."));
        } else queue.push([path, found]);
      }
    }
  }
  return { needed, faults };
}
