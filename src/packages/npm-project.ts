import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { messageOf } from "../core/errors.ts";

/** What of the user's npm project bears on an image. Paths are absolute. */
export interface NpmProject {
  /** The `.npmrc` that npm would take as the project's. */
  npmrc: string | undefined;
  /** The lock file, and the versions that it gives to the packages at the app's place. */
  lock: { file: string; versions: Map<string, string> } | undefined;
  /** Faults that do not stop a build: a lock file that cannot be read. */
  warnings: string[];
}

interface LockFile {
  packages?: Record<string, { version?: unknown; link?: unknown }>;
  dependencies?: Record<string, { version?: unknown }>;
}

/** npm takes the shrinkwrap when both are there. */
const LOCK_FILES = ["npm-shrinkwrap.json", "package-lock.json"];

/**
 * Looks from `appDir` upwards. The project ends at the first folder with a package.json; when that is a workspace of a lock
 * file further up, that file and the `.npmrc` next to it count.
 */
export async function findNpmProject(appDir: string): Promise<NpmProject> {
  const warnings: string[] = [];
  let npmrc: string | undefined;
  let packageDir: string | undefined;
  for (const dir of upwards(appDir)) {
    if (npmrc === undefined && packageDir === undefined && (await isFile(join(dir, ".npmrc"))))
      npmrc = join(dir, ".npmrc");
    const file = await firstFile(LOCK_FILES.map((name) => join(dir, name)));
    if (file !== undefined) {
      const place = packageDir === undefined ? "" : relative(dir, packageDir).split(sep).join("/");
      const lock = await readLock(file, warnings);
      // A lock file above the project belongs to another project, unless it knows this one as a workspace.
      if (place === "" || lock?.packages?.[place] !== undefined) {
        if (npmrc === undefined && (await isFile(join(dir, ".npmrc")))) npmrc = join(dir, ".npmrc");
        return { npmrc, lock: lock && { file, versions: versionsAt(lock, place) }, warnings };
      }
    }
    if (await isFile(join(dir, "package.json"))) packageDir ??= dir;
    if (existsSync(join(dir, ".git"))) break;
  }
  return { npmrc, lock: undefined, warnings };
}

async function readLock(file: string, warnings: string[]): Promise<LockFile | undefined> {
  try {
    const lock: unknown = JSON.parse(await readFile(file, "utf8"));
    if (typeof lock === "object" && lock !== null) return lock;
    warnings.push(`${file} is not a lock file; its versions are not used`);
  } catch (error) {
    warnings.push(`${file} cannot be read, its versions are not used: ${messageOf(error)}`);
  }
  return undefined;
}

/** Versions by package name, as `import` at `place` (a folder of the lock's project, "" for its root) would find them. */
function versionsAt(lock: LockFile, place: string): Map<string, string> {
  const versions = new Map<string, string>();
  const add = (name: string, version: unknown) => {
    // git and file dependencies have addresses there, which are no versions.
    if (typeof version === "string" && /^\d+\.\d+\.\d+/.test(version)) versions.set(name, version);
  };
  if (lock.packages === undefined) {
    for (const [name, entry] of Object.entries(lock.dependencies ?? {})) add(name, entry.version);
    return versions;
  }
  for (const prefix of place === "" ? ["node_modules/"] : ["node_modules/", `${place}/node_modules/`]) {
    for (const [path, entry] of Object.entries(lock.packages)) {
      const name = path.startsWith(prefix) ? path.slice(prefix.length) : "";
      if (name !== "" && !name.includes("/node_modules/") && entry.link !== true) add(name, entry.version);
    }
  }
  return versions;
}

function* upwards(from: string): Generator<string> {
  for (let dir = resolve(from); ; dir = dirname(dir)) {
    yield dir;
    if (dirname(dir) === dir) return;
  }
}

async function firstFile(paths: string[]): Promise<string | undefined> {
  for (const path of paths) if (await isFile(path)) return path;
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false, // missing or not reachable: either way npm would not read it
  );
}
