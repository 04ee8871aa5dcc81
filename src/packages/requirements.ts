/** The packages layer by a lock file of the user's project: exactly what is locked there, or faults that say why not. */
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LOCKFILES } from "../contract/lockfiles.ts";
import { type AppctlError, type Fault, messageOf, usageError } from "../core/errors.ts";
import type { LockedProject } from "./lockfiles/lock-graph.ts";
import { FIELD } from "./lockfiles/lock-graph.ts";
import {
  DEPENDENCY_KINDS,
  type LockEntry,
  locatePackage,
  type PackageLock,
  PROJECT,
  type ResolvedLock,
} from "./lockfiles/package-lock.ts";
import { type LockKind, lockKind, translateLock } from "./lockfiles/read-lock.ts";
import { parsePackages } from "./package-spec.ts";

/**
 * A lock file. `file` is absolute, `written` is how the ImageSpec names it. With `texts` nothing is read, and of `file` only the
 * name counts.
 */
export interface Requirements {
  file: string;
  written: string;
  texts?: RequirementTexts | undefined;
}

/** What stands in a lock file and in the package.json beside it. */
export interface RequirementTexts {
  lock: string;
  project: string;
}

const NPM = LOCKFILES["package-lock.json"];

type Dependencies = Partial<Record<(typeof DEPENDENCY_KINDS)[number], Record<string, string>>>;
interface ProjectManifest extends Dependencies {
  overrides?: unknown;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

/** Fields of package.json that decide which packages a lock file is for. */
const PROJECT_FIELDS = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
  "peerDependenciesMeta",
  "overrides",
  "resolutions",
] as const;

/** What {@link readRequirements} reads, for somebody else to read it: the lock file, and of package.json what bears on it. */
export async function requirementParts(
  requirements: Requirements,
): Promise<{ lock: string; project: Partial<Record<(typeof PROJECT_FIELDS)[number], unknown>> }> {
  const { install = "npm install --package-lock-only" } = lockKind(requirements.file) ?? {};
  const project = (await readJson(requirements, "project", "npm init")) as Record<string, unknown> | null;
  const given = PROJECT_FIELDS.map((field) => [field, project?.[field]] as const);
  return {
    lock: await readText(requirements, "lock", install),
    project: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
  };
}

/**
 * Reads `requirements`: every package that the project beside the lock file needs when it runs, at the locked version, and
 * nothing else. `imported` are packages (`name`, `name@range`) that the bundle imports from the layer: each has to be one of
 * the project's own dependencies. Throws INVALID_REQUIREMENTS with every fault.
 */
export async function readRequirements(
  requirements: Requirements,
  imported: readonly string[] = [],
): Promise<ResolvedLock> {
  const kind = lockKind(requirements.file);
  if (kind !== undefined) return readOther(kind, requirements, imported);
  const manifest = await readProject(requirements);
  const lock = await readLock(requirements);
  const faults: Fault[] = [...disagreements(manifest, lock, requirements)];
  if (faults.length > 0) throw invalid(requirements.written, faults, NPM.install);
  const { needed, faults: more } = neededPackages(manifest, lock, requirements);
  const paths = Object.keys(needed).sort();
  more.push(...notThere(imported, needed, requirements, NPM.add));
  if (more.length > 0) throw invalid(requirements.written, more, NPM.install);
  return {
    packages: Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
      .sort()
      .flatMap((name) => {
        const version = needed[`node_modules/${name}`]?.version;
        return version === undefined ? [] : [{ name, version }];
      }),
    lock: {
      name: PROJECT,
      lockfileVersion: 3,
      requires: true,
      packages: {
        "": { name: PROJECT, ...manifest },
        ...Object.fromEntries(paths.map((path) => [path, needed[path] as LockEntry])),
      },
    },
  };
}

/** The same by the lock file of another package manager. */
async function readOther(
  kind: LockKind,
  requirements: Requirements,
  imported: readonly string[],
): Promise<ResolvedLock> {
  const { written } = requirements;
  const project = (await readJson(requirements, "project", "npm init")) ?? {};
  const text = await readText(requirements, "lock", kind.install);
  const translated = await translateLock(kind, text, project as LockedProject, written);
  if (!("resolved" in translated)) throw invalid(requirements.written, translated.faults, kind.install);
  const { resolved } = translated;
  const missing = notThere(imported, resolved.lock.packages, requirements, kind.add);
  if (missing.length > 0) throw invalid(requirements.written, missing, kind.install);
  return resolved;
}

/** Faults of packages that the bundle imports and that do not lie where it finds them. */
function notThere(
  imported: readonly string[],
  packages: Readonly<Record<string, unknown>>,
  { written }: Requirements,
  add: string,
): Fault[] {
  return parsePackages(imported)
    .filter(({ name }) => packages[`node_modules/${name}`] === undefined)
    .map(({ name }) => ({
      path: FIELD,
      message: `the app imports ${name} from the packages layer, and it is no dependency in ${written}`,
      hint: `${add} ${name}`,
    }));
}

/** What of package.json decides which packages are installed. Scripts of the project are not ours to run. */
async function readProject(requirements: Requirements): Promise<ProjectManifest> {
  const value = await readJson(requirements, "project", "npm init");
  const found = (value ?? {}) as ProjectManifest;
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, overrides } = found;
  const given = { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, overrides };
  return Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined));
}

async function readLock(requirements: Requirements): Promise<PackageLock> {
  const { file, written } = requirements;
  const next = "npm install --package-lock-only";
  const lock = (await readJson(requirements, "lock", next)) as Partial<PackageLock> | undefined;
  const version: unknown = lock?.lockfileVersion;
  if ((version === 2 || version === 3) && typeof lock?.packages === "object" && lock.packages !== null) {
    const faults = Object.entries(lock.packages)
      .filter(([, entry]) => typeof entry !== "object" || entry === null)
      .map(([at]) => ({ path: FIELD, message: `${written} has no package at "${at}", but something else` }));
    if (faults.length > 0) throw invalid(written, faults, next);
    return lock as PackageLock;
  }
  const message =
    version === 1
      ? `${written} is a lock file of version 1, which does not say all that is needed`
      : `${basename(file)} is not a lock file of version 2 or 3`;
  throw invalid(written, [{ path: FIELD, message }], `${next} --lockfile-version=3`);
}

async function readJson(requirements: Requirements, part: keyof RequirementTexts, next: string): Promise<unknown> {
  const text = await readText(requirements, part, next);
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = partName(requirements, part);
    throw invalid(what, [{ path: FIELD, message: `${what} is not JSON: ${messageOf(error)}` }], next);
  }
}

/** The text of the lock file, or of the package.json beside it. */
async function readText(requirements: Requirements, part: keyof RequirementTexts, next: string): Promise<string> {
  if (requirements.texts) return requirements.texts[part];
  const what = partName(requirements, part);
  const file = part === "lock" ? requirements.file : join(dirname(requirements.file), "package.json");
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const message =
      error.code === "ENOENT" ? `${what} does not exist (${file})` : `${what} cannot be read: ${error.message}`;
    throw invalid(what, [{ path: FIELD, message }], next);
  });
}

function partName({ written }: Requirements, part: keyof RequirementTexts): string {
  return part === "lock" ? written : `the package.json beside ${written}`;
}

/** What package.json asks for and the lock does not answer, and the other way round. npm writes both in the same words. */
function disagreements(manifest: ProjectManifest, lock: PackageLock, { written }: Requirements): Fault[] {
  const root = (lock.packages[""] ?? {}) as Dependencies;
  return DEPENDENCY_KINDS.flatMap((kind) => {
    const [asked, locked] = [manifest[kind] ?? {}, root[kind] ?? {}];
    const names = [...new Set([...Object.keys(asked), ...Object.keys(locked)])].sort();
    return names
      .filter((name) => asked[name] !== locked[name])
      .map((name) => ({
        path: FIELD,
        message: `${name} is ${asked[name] ?? "not there"} in package.json and ${locked[name] ?? "not there"} in ${written}`,
      }));
  });
}

/** The packages that `import` can reach from the project, by their paths in the lock. */
function neededPackages(
  manifest: ProjectManifest,
  { packages }: PackageLock,
  { written }: Requirements,
): { needed: Record<string, LockEntry>; faults: Fault[] } {
  const needed: Record<string, LockEntry> = {};
  const faults: Fault[] = [];
  const queue: [path: string, entry: LockEntry & Dependencies][] = [["", manifest as LockEntry]];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [from, entry] = next;
    for (const kind of DEPENDENCY_KINDS) {
      for (const name of Object.keys(entry[kind] ?? {})) {
        const path = locatePackage(packages, from, name);
        const found = path === undefined ? undefined : packages[path];
        if (path === undefined || found === undefined) {
          // What is optional may be left out of a lock; peers are left out where the user's npm is told not to add them.
          if (kind !== "dependencies" || entry.optionalDependencies?.[name] !== undefined) continue;
          faults.push({
            path: FIELD,
            message: `${from || "package.json"} needs ${name}, which ${written} does not have`,
          });
          continue;
        }
        // A package for development may stand in for an optional peer; it is not installed for that.
        if (found["dev"] === true || needed[path] !== undefined) continue;
        needed[path] = found;
        if (found["link"] === true || /^file:/.test(found.resolved ?? "")) {
          faults.push({
            path: FIELD,
            message: `${name} is a folder or a file of this machine, which no lock file can freeze`,
            hint: "Publish it, or import it by its path: it is bundled then.",
          });
        } else queue.push([path, found]);
      }
    }
  }
  return { needed, faults };
}

function invalid(written: string, faults: Fault[], next: string): AppctlError {
  const [first] = faults;
  return usageError(faults.length === 1 && first ? first.message : `${written} does not fit the project`, {
    code: "INVALID_REQUIREMENTS",
    ...(faults.length === 1 && first?.hint ? { hint: first.hint } : {}),
    faults,
    next: [next],
  });
}
