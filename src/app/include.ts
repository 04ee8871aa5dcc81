import { glob, open, readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, posix, relative, sep } from "node:path";
import { type Fault, messageOf, usageError } from "../core/errors.ts";

/** A file that ships with the app. */
export interface IncludedFile {
  /** Path relative to the root, with `/`. */
  path: string;
  absolute: string;
  /** 0o755 for what its owner may execute, else 0o644: other bits differ between machines and mean nothing to the app. */
  mode: number;
}

/** Directories that no wildcard enters. */
const SKIPPED = ["node_modules", ".git"];

/** Files of the app layer that appctl writes itself. */
const OWN = /^(?:app\.mjs|app\.mjs\.map|app\.json|serve\.mjs)$/;

/** What is different for the fields that name files. */
export interface CollectOptions {
  /** Where the globs stand in the user's file, for messages. */
  field: string;
  /** Code of the error. */
  code: string;
  /** True for paths (relative to the root, with `/`) that are left out whatever matches them. */
  ignored: (path: string) => boolean;
}

const INCLUDE: CollectOptions = { field: "include", code: "INVALID_INCLUDE", ignored: () => false };

/**
 * The files that `globs` (relative to `root`, an absolute directory) match, sorted by path. A directory means all
 * that is in it; a wildcard matches no hidden file (`.env`); a glob that begins with `!` takes files out again. Never in
 * it unless a glob names them: `node_modules` and `.git`. Throws `INVALID_INCLUDE` (or `options.code`) with a fault for each
 * glob that matches nothing or leads out of `root`.
 */
export async function collectIncluded(
  root: string,
  globs: readonly string[],
  options: CollectOptions = INCLUDE,
): Promise<IncludedFile[]> {
  const { field, code, ignored } = options;
  const base = await realpath(root);
  const files = new Map<string, IncludedFile>();
  const faults: Fault[] = [];
  const excluded = new Set<string>();
  for (const pattern of globs.filter((glob) => glob.startsWith("!"))) {
    for (const name of await matches(base, pattern.slice(1))) excluded.add(name);
  }
  for (const [index, pattern] of globs.entries()) {
    if (pattern.startsWith("!")) continue;
    const path = `${field}[${index}]`;
    if (isAbsolute(pattern) || posix.normalize(pattern.replaceAll(sep, "/")).split("/")[0] === "..") {
      faults.push({
        path,
        message: `"${pattern}" is outside of the app's folder`,
        hint: "move the file into the folder of the app",
      });
      continue;
    }
    const matched = await matches(base, pattern);
    if (matched.length === 0) {
      faults.push({
        path,
        message: `"${pattern}" matches no file`,
        hint: "globs are relative to the file that declares the App",
      });
    }
    const left: string[] = [];
    // What a link leads to is left out as well when only that is named.
    for (const name of matched) {
      if (!ignored(slashed(name)) && !ignored(slashed(await targetOf(base, name)))) left.push(name);
    }
    if (matched.length > 0 && left.length === 0) {
      faults.push({
        path,
        message: `"${pattern}" matches only files that .dockerignore excludes`,
        hint: `add this line to .dockerignore to include them: !${pattern.replace(/^\.\//, "")}`,
      });
    }
    for (const name of left) {
      if (excluded.has(name)) continue;
      const fault = await add(base, name, files);
      if (fault) faults.push({ path, message: fault });
    }
  }
  if (faults.length > 0) throw usageError(`${field} is not valid`, { code, faults });
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths of the files that `pattern` matches, relative to `base`. */
async function matches(base: string, pattern: string): Promise<string[]> {
  const normal = posix.normalize(pattern.replace(/\/+$/, ""));
  const trimmed = normal === "." ? "**" : normal;
  const skipped = SKIPPED.filter((name) => !trimmed.split("/").includes(name));
  const exclude = skipped.map((name) => `**/${name}`);
  const found: string[] = [];
  for await (const entry of glob(trimmed, { cwd: base, withFileTypes: true, exclude })) {
    const name = relative(base, join(entry.parentPath, entry.name));
    const stats = await stat(join(base, name)).catch(() => undefined); // a link to nothing is no file
    if (stats?.isFile()) found.push(name);
    else if (stats?.isDirectory()) {
      // A pattern that ends in ** finds the files below by itself, and passes over folders that it may not read.
      const below = /(?:^|\/)\*\*$/.test(trimmed)
        ? await unreadable(base, name)
        : await filesBelow(base, name, skipped);
      found.push(...below);
    }
  }
  return found;
}

/** The directory itself when it cannot be read: {@link add} says so. */
async function unreadable(base: string, dir: string): Promise<string[]> {
  return readdir(join(base, dir)).then(
    () => [],
    () => [dir],
  );
}

/** Every file below a directory, hidden ones too: who names a directory means all of it. One that cannot be read is in it. */
async function filesBelow(base: string, dir: string, skipped: string[]): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(join(base, dir), { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [dir];
  for (const entry of entries) {
    const name = join(dir, entry.name);
    if (skipped.includes(entry.name)) continue;
    if (entry.isDirectory()) found.push(...(await filesBelow(base, name, skipped)));
    // A link is taken when it is one to a file: directories may link in a circle.
    else if (entry.isFile() || (await stat(join(base, name)).catch(() => undefined))?.isFile()) found.push(name);
  }
  return found;
}

/** Adds one file; returns what is wrong with it, if anything. */
async function add(base: string, name: string, files: Map<string, IncludedFile>): Promise<string | undefined> {
  const path = slashed(name);
  if (OWN.test(path)) return `"${path}" has the name of a file that appctl itself puts there`;
  try {
    const absolute = join(base, name);
    const real = await realpath(absolute);
    if (isOutside(name)) return `"${path}" is outside of the app's directory`;
    if (isOutside(relative(base, real))) return `"${path}" links to a file outside of the app's directory`;
    // Unreadable files are reported here, with all other faults.
    const file = await open(real);
    const { mode } = await file.stat().finally(() => file.close());
    files.set(path, { path, absolute, mode: mode & 0o100 ? 0o755 : 0o644 });
    return undefined;
  } catch (error) {
    return `"${path}" cannot be read: ${messageOf(error)}`;
  }
}

/** The path of the file itself, relative to `base`; the link's own when it leads to nothing. */
async function targetOf(base: string, name: string): Promise<string> {
  const real = await realpath(join(base, name)).catch(() => join(base, name));
  return relative(base, real);
}

/** True for a relative path that leads out. */
const isOutside = (name: string) => name.split(sep)[0] === "..";

function slashed(name: string): string {
  return name.split(sep).join("/");
}
