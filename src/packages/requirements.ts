/** The packages layer by a lock file of the user's project: exactly what is locked there, or faults that say why not. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LOCKFILES, lockfileNameOf } from "../contract/lockfiles.ts";
import { type AppctlError, type Fault, messageOf, usageError } from "../core/errors.ts";
import { type LockedProject, lockFault } from "./lockfiles/lock-graph.ts";
import { CREATE_COMMAND } from "./lockfiles/npm.ts";
import type { ResolvedLock } from "./lockfiles/package-lock.ts";
import { readLock } from "./lockfiles/read-lock.ts";
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

/** Content of a lockfile and of the package.json next to it. */
export interface RequirementTexts {
  lock: string;
  project: string;
}

/** What makes a package.json. */
const INIT_COMMAND = "npm init";

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
  const project = (await readProject(requirements)) as Record<string, unknown> | null;
  const given = PROJECT_FIELDS.map((field) => [field, project?.[field]] as const);
  return {
    lock: await readText(requirements, "lock"),
    project: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
  };
}

/**
 * Reads `requirements`: every package that the project of the lockfile needs when it runs, at the locked version, and
 * nothing else. `imported` are packages (`name`, `name@range`) that the bundle imports from the layer: each has to be one of
 * the project's own dependencies. Throws INVALID_REQUIREMENTS with every fault.
 */
export async function readRequirements(
  requirements: Requirements,
  imported: readonly string[] = [],
): Promise<ResolvedLock> {
  const { written } = requirements;
  const name = lockfileOf(requirements);
  const { install, add } = LOCKFILES[name];
  const project = ((await readProject(requirements)) ?? {}) as LockedProject;
  const {
    resolved,
    faults,
    next = install,
  } = await readLock(name, await readText(requirements, "lock"), project, written);
  const installed = resolved?.lock.packages ?? {};
  const missing = parsePackages(resolved ? imported : [])
    .filter(({ name }) => installed[`node_modules/${name}`] === undefined)
    .map(({ name }) => {
      const message = `the app imports ${name}, which is no dependency in ${written}`;
      return lockFault(message, `${add} ${name}`);
    });
  if (resolved && faults.length + missing.length === 0) return resolved;
  throw invalid(written, [...faults, ...missing], next);
}

const lockfileOf = ({ file }: Requirements) => lockfileNameOf(file) ?? "package-lock.json";

async function readProject(requirements: Requirements): Promise<unknown> {
  const text = await readText(requirements, "project");
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = partName(requirements, "project");
    throw invalid(what, [lockFault(`${what} is not JSON: ${messageOf(error)}`)], INIT_COMMAND);
  }
}

/** The text of the lockfile, or of the package.json next to it. */
async function readText(requirements: Requirements, part: keyof RequirementTexts): Promise<string> {
  if (requirements.texts) return requirements.texts[part];
  const name = lockfileOf(requirements);
  const create = name === "package-lock.json" ? CREATE_COMMAND : LOCKFILES[name].install;
  const what = partName(requirements, part);
  const file = part === "lock" ? requirements.file : join(dirname(requirements.file), "package.json");
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const message =
      error.code === "ENOENT" ? `${what} does not exist (${file})` : `${what} cannot be read: ${error.message}`;
    throw invalid(what, [lockFault(message)], part === "lock" ? create : INIT_COMMAND);
  });
}

function partName({ written }: Requirements, part: keyof RequirementTexts): string {
  return part === "lock" ? written : `the package.json beside ${written}`;
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
