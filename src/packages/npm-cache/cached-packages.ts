/**
 * The packages of an image straight from the tarballs in npm's cache: the very entries that the tree of `npm ci` gives, in a
 * fraction of its time. Whatever is not certain to come out the same is left to npm.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { inParallel } from "../../core/in-parallel.ts";
import { makeWorkDir } from "../../core/work-dir.ts";
import type { TarEntry } from "../../oci/archive/tar.ts";
import { installMessage } from "../install-packages.ts";
import { packagesWithScripts } from "../install-scripts.ts";
import { packagesFor, type ResolvedLock } from "../lockfiles/package-lock.ts";
import { npmConfig } from "../npm-config.ts";
import { findNpmProject } from "../npm-project.ts";
import { hostTarget, type NpmTarget } from "../npm-target.ts";
import type { PackageContext } from "../package-context.ts";
import { Archives } from "./archives.ts";
import { type InstallContext, planPackages } from "./install-plan.ts";
import { ensure, LeaveToNpm } from "./leave-to-npm.ts";
import { type NpmSetting, npmSetting } from "./npm-settings.ts";
import { treeOf, type Unpacked } from "./package-tree.ts";
import { packageFiles } from "./tarball.ts";

/** Packages as entries of a layer, at `node_modules/…`. */
export interface CachedPackages {
  entries: TarEntry[];
  /** Removes what lies on the disk; the entries are of no use then. */
  dispose(): Promise<void>;
}

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
    if (error instanceof LeaveToNpm) return { why: error.message };
    throw error;
  }
}

async function entriesOf(
  lock: ResolvedLock,
  context: PackageContext,
  archivesIn: (at: NpmSetting) => Archives,
): Promise<TarEntry[]> {
  const { platform, signal } = context;
  ensure(process.platform !== "win32", "npm makes another tree on Windows");
  ensure(!context.allowScripts || packagesWithScripts(lock).length === 0, "install scripts are to be run");
  const { npmrc } = context.project ?? (await findNpmProject(context.appDir));
  const setting = await npmSetting(await npmConfig(context.env, context.cwd, npmrc), npmrc);
  const planned = planPackages(lock.lock, await installContext(lock, platform, setting));
  const archives = archivesIn(setting);
  const integrities = new Set(planned.map(({ entry }) => entry.integrity as string));
  await archives.check(integrities);

  const total = packagesFor(lock.lock, platform).length;
  const progress = (done: number) =>
    context.onProgress?.({ step: "install", message: installMessage(total), done, total });
  progress(0);
  const unpacked = new Map<string, Unpacked>();
  try {
    await inParallel([...integrities], async (integrity) => {
      const archive = await archives.unpack(integrity);
      const one: Unpacked = { archive, files: new Map() };
      unpacked.set(integrity, one);
      one.files = packageFiles(archive.read, archive.size);
      signal.throwIfAborted();
      if (unpacked.size < total) progress(unpacked.size);
    });
    const entries = treeOf(planned, unpacked, { unsaid: lock.unsaid ?? [], platform });
    progress(total);
    return entries;
  } finally {
    for (const { archive } of unpacked.values()) archive.close();
  }
}

/** What packages are chosen by; npm is asked only what the lock makes a question of. */
async function installContext(
  { lock }: ResolvedLock,
  platform: NpmTarget,
  setting: NpmSetting,
): Promise<InstallContext> {
  const host = hostTarget();
  const entries = Object.values(lock.packages);
  if (entries.some(({ libc }) => libc)) {
    const seen = await setting.libc();
    ensure(seen === undefined || seen === host.libc, `npm sees ${seen} where there is ${host.libc}`);
  }
  const choosy = entries.some((entry) => entry["engines"] && (entry.optional || entry["devOptional"]));
  const nodeVersion = choosy ? await setting.nodeVersion() : undefined;
  return { platform, host, nodeVersion, versions: await import("../../core/versions.ts") };
}
