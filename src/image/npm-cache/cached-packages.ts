/**
 * The packages of an image straight from the tarballs in npm's cache: the very entries that the tree of `npm ci` gives, in a
 * fraction of its time. Whatever is not certain to come out the same is left to npm.
 */
import { rm } from "node:fs/promises";
import { join, posix } from "node:path";
import { fits, type LockEntry, packageName, packagesFor, type ResolvedLock } from "../lock.ts";
import type { Unsaid } from "../locks/graph.ts";
import { npmConfig } from "../npm-config.ts";
import { hostPlatform, type Platform } from "../oci.ts";
import { installMessage, type PackageContext, packagesWithScripts } from "../packages.ts";
import { findNpmProject } from "../project.ts";
import type { TarEntry } from "../tar.ts";
import { makeWorkDir } from "../work-dir.ts";
import { type Archive, Archives } from "./archives.ts";
import { binFolder, binsOf, withoutCarriageReturn } from "./bins.ts";
import { type PlannedPackage, planPackages } from "./plan.ts";
import { type NpmSetting, npmSetting } from "./settings.ts";
import { type PackageFile, packageFiles } from "./tarball.ts";
import { sure, Unsure } from "./unsure.ts";

/** Packages as entries of a layer, at `node_modules/…`. */
export interface CachedPackages {
  entries: TarEntry[];
  /** Removes what lies on the disk; the entries are of no use then. */
  dispose(): Promise<void>;
}

/** A tarball and what npm makes of it. */
interface Unpacked {
  archive: Archive;
  files: Map<string, PackageFile>;
}

const inEnglish = new Intl.Collator("en");
/** Tarballs that are unpacked at a time: Node has four threads for that. */
const AT_A_TIME = 4;

/**
 * The packages of `lock` from npm's cache, or why npm has to install them: something is not in the cache, or is anything else
 * than plain packages of a registry. `inMemory`: bytes that may be held in memory; what is more goes through files. Throws
 * NPM_MISSING, DISK_FULL and the signal's reason.
 */
export async function cachedPackages(
  lock: ResolvedLock,
  context: PackageContext,
  { inMemory }: { inMemory?: number } = {},
): Promise<CachedPackages | { why: string }> {
  let dir: Promise<string> | undefined;
  const dispose = async () => {
    if (dir !== undefined) await rm(await dir, { recursive: true, force: true });
  };
  try {
    const makeDir = () => {
      dir ??= makeWorkDir(join(context.cacheDir, "tmp"));
      return dir;
    };
    const entries = await entriesOf(lock, context, ({ content }) => {
      return new Archives({ content, dir: makeDir, signal: context.signal, inMemory });
    });
    return { entries, dispose };
  } catch (error) {
    await dispose();
    if (error instanceof Unsure) return { why: error.message };
    throw error;
  }
}

async function entriesOf(
  lock: ResolvedLock,
  context: PackageContext,
  archivesIn: (at: NpmSetting) => Archives,
): Promise<TarEntry[]> {
  const { platform, signal } = context;
  sure(process.platform !== "win32", "npm makes another tree on Windows");
  sure(!context.allowScripts || packagesWithScripts(lock).length === 0, "install scripts are to be run");
  const { npmrc } = await findNpmProject(context.appDir);
  const setting = await npmSetting(await npmConfig(context.env, context.cwd, npmrc), npmrc);
  const choosy = Object.values(lock.lock.packages).some(
    (entry) => entry["engines"] && (entry.optional || entry["devOptional"]),
  );
  const nodeVersion = choosy ? await setting.nodeVersion() : undefined;
  const planned = planPackages(lock.lock, { platform, host: hostPlatform(), nodeVersion });
  const archives = archivesIn(setting);
  const integrities = new Set(planned.map(({ entry }) => entry.integrity as string));
  await archives.check(integrities);

  const total = packagesFor(lock.lock, platform).length;
  const progress = (done: number) =>
    context.onProgress?.({ step: "install", message: installMessage(total), done, total });
  progress(0);
  const unpacked = new Map<string, Unpacked>();
  const waiting = [...integrities];
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const archive = await archives.unpack(next);
      unpacked.set(next, { archive, files: packageFiles(archive.read, archive.size) });
      signal.throwIfAborted();
      if (unpacked.size < total) progress(unpacked.size);
    }
  };
  try {
    const workers = Array.from({ length: AT_A_TIME }, () =>
      worker().catch((error: unknown) => {
        waiting.length = 0; // the others come to their end
        throw error;
      }),
    );
    await Promise.allSettled(workers);
    await Promise.all(workers);
    const tree = treeOf(planned, unpacked, { unsaid: lock.unsaid ?? [], platform });
    progress(total);
    return tree;
  } finally {
    for (const { archive } of unpacked.values()) archive.close();
  }
}

/** Files and links of commands, at the paths at which they stand in an image. */
function treeOf(
  planned: readonly PlannedPackage[],
  unpacked: ReadonlyMap<string, Unpacked>,
  { unsaid, platform }: { unsaid: readonly Unsaid[]; platform: Platform },
): TarEntry[] {
  const entries: TarEntry[] = [];
  const links = new Map<string, TarEntry | undefined>();
  const foreign: string[] = [];
  const looksInside = unsaid.includes("bins") || unsaid.includes("platforms");
  // Of two packages that have the same command, the first in npm's order gets it.
  for (const { path, entry } of [...planned].sort((a, b) => inEnglish.compare(a.path, b.path))) {
    const { archive, files } = unpacked.get(entry.integrity as string) as Unpacked;
    // What the lock file does not say stands in the package.
    const inside = looksInside ? manifestOf(archive, files) : undefined;
    const isForeign = unsaid.includes("platforms") && entry.optional === true && !fits(inside ?? {}, platform);
    if (isForeign) foreign.push(`app/${path}/`);
    // Commands that the lock names are linked before it is known that the package is for another platform.
    const { bin, name: owner } = unsaid.includes("bins")
      ? { bin: isForeign ? undefined : inside?.bin, name: inside?.name }
      : { bin: entry["bin"], name: packageName(path, entry) };
    const commands = new Set<string>();
    for (const [name, target] of binsOf(bin, owner ?? "")) {
      const folder = binFolder(path);
      const link = `app/${folder}/${name}`;
      const there = isThere(target, files);
      if (links.has(link)) {
        // Whether it is executable then depends on where npm has the package from.
        sure(files.get(target)?.executable ?? true, `two packages have a command ${name}`);
        continue;
      }
      const relative = posix.relative(folder, `${path}/${target}`);
      links.set(link, there ? { type: "symlink", path: link, target: relative } : undefined);
      if (there) commands.add(target);
    }
    for (const { path: inner, start, size, executable } of files.values()) {
      const command = commands.has(inner);
      const content = (command && withoutCarriageReturn(archive.read(start, size))) || archive.content(start, size);
      entries.push({ type: "file", path: `app/${path}/${inner}`, executable: executable || command, content });
    }
  }
  const names = [...links.keys()];
  sure(new Set(names.map((name) => name.toLowerCase())).size === names.length, "commands differ only in case");
  for (const link of links.values()) if (link !== undefined) entries.push(link);
  return entries.filter(({ path }) => !foreign.some((folder) => path.startsWith(folder)));
}

interface Manifest extends Pick<LockEntry, "os" | "cpu" | "libc"> {
  name?: string | undefined;
  bin?: unknown;
}

/** The package.json of a package. */
function manifestOf(archive: Archive, files: Unpacked["files"]): Manifest {
  const file = files.get("package.json");
  sure(file !== undefined, "a package without package.json");
  try {
    const manifest = JSON.parse(archive.read(file.start, file.size).toString("utf8"));
    // The registry can have made commands of that folder.
    sure(manifest.directories?.bin === undefined && typeof manifest.name === "string", "an unusual package.json");
    return manifest;
  } catch (error) {
    throw error instanceof Unsure ? error : new Unsure(`a package.json that cannot be read: ${error}`);
  }
}

function isThere(target: string, files: Unpacked["files"]): boolean {
  sure(target !== "node_modules" && !target.startsWith("node_modules/"), "a command of another package");
  if (files.has(target)) return true;
  for (const path of files.keys()) {
    if (path.startsWith(`${target}/`)) return true;
    sure(!target.startsWith(`${path}/`), "a command that is in a file");
  }
  return false;
}
