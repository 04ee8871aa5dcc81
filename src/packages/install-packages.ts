import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AppctlError, usageError } from "../core/errors.ts";
import { packagesWithScripts } from "./install-scripts.ts";
import { entriesFor, fits, packagesFor, type ResolvedLock } from "./lockfiles/package-lock.ts";
import { npmConfig } from "./npm-config.ts";
import { npmFailure } from "./npm-failure.ts";
import { makeNpmFolder } from "./npm-folder.ts";
import { findNpmProject } from "./npm-project.ts";
import { hostTarget, type NpmTarget, targetName } from "./npm-target.ts";
import type { PackageContext } from "./package-context.ts";
import { runNpm } from "./run-npm.ts";

/** Packages on disk. `nodeModules` is undefined when there are none to install on the platform. */
export interface InstalledPackages {
  nodeModules: string | undefined;
  /** Removes them. */
  dispose(): Promise<void>;
}

/** What progress says of `total` packages that are installed. */
export function installMessage(total: number): string {
  return `installing ${total} ${total === 1 ? "package" : "packages"}`;
}

/** Installs exactly the packages of `lock` below the cache folder. Throws as `resolvePackages`. */
export async function installPackages(lock: ResolvedLock, context: PackageContext): Promise<InstalledPackages> {
  if (lock.packages.length === 0) return { nodeModules: undefined, dispose: async () => {} };
  const project = context.project ?? (await findNpmProject(context.appDir));
  const config = await npmConfig(context.env, context.cwd, project.npmrc);
  const { unsaid = [] } = lock;
  const scripts = context.allowScripts ? packagesWithScripts(lock) : [];
  if (scripts.length > 0 && platformFlags(context.platform).length > 0)
    throw scriptsElsewhere(scripts, context.platform);
  const manifest = {
    ...lock.lock.packages[""],
    // npm from version 12 on runs only the scripts that the project has approved.
    ...(scripts.length > 0 ? { allowScripts: Object.fromEntries(scripts.map((name) => [name, true])) } : {}),
  };
  const total = packagesFor(lock.lock, context.platform).length;
  const message = installMessage(total);
  const dir = await makeNpmFolder(context, project, manifest);
  const dispose = () => rm(dir, { recursive: true, force: true });
  try {
    await writeFile(join(dir, "package-lock.json"), JSON.stringify(lock.lock));
    const seen = new Set<string>();
    context.onProgress?.({ step: "install", message, done: 0, total });
    const run = { cwd: dir, env: config.env, signal: context.signal };
    const result = await runNpm({
      ...run,
      // Versions never change, so what npm has cached of the registry is as good as asking again.
      args: ["ci", "--prefer-offline", ...platformFlags(context.platform)],
      // Where nobody has said which packages have scripts, they run when all of them are there.
      scripts: scripts.length > 0 && !unsaid.includes("scripts"),
      onLine: (line) => {
        const tarball = /^npm (?:ERR! )?http (?:fetch GET 200|cache) (\S+(?:\.tgz|\/download\/\S+))/.exec(line)?.[1];
        if (tarball === undefined || seen.has(tarball)) return;
        seen.add(tarball);
        if (seen.size < total) context.onProgress?.({ step: "install", message, done: seen.size, total });
      },
    });
    if (result.code !== 0) throw npmFailure(result, "install the packages of the image");
    if (unsaid.includes("platforms")) await removeForeign(dir, lock.lock, context.platform);
    if (unsaid.includes("bins") || (unsaid.includes("scripts") && scripts.length > 0)) {
      // npm believes its own note of what it has installed, in which they are missing.
      await rm(join(dir, "node_modules", ".package-lock.json"), { force: true });
      const rebuilt = await runNpm({ ...run, args: ["rebuild"], scripts: scripts.length > 0 });
      if (rebuilt.code !== 0) throw npmFailure(rebuilt, "prepare the packages of the image");
    }
    context.onProgress?.({ step: "install", message, done: total, total });
    return { nodeModules: join(dir, "node_modules"), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Removes packages for other platforms, which the lock file does not tell from those for this one. */
async function removeForeign(dir: string, lock: ResolvedLock["lock"], platform: NpmTarget): Promise<void> {
  for (const [path, { optional }] of entriesFor(lock, platform)) {
    if (optional !== true) continue;
    const text = await readFile(join(dir, path, "package.json"), "utf8").catch(() => undefined);
    // What npm could not install it has left out, or it went with the package that it lay in.
    if (text !== undefined && !fits(JSON.parse(text), platform))
      await rm(join(dir, path), { recursive: true, force: true });
  }
}

/** What install scripts make of a package is for the machine that they run on. */
function scriptsElsewhere(names: readonly string[], platform: NpmTarget): AppctlError {
  const host = targetName(hostTarget());
  return usageError(
    `install scripts cannot be run for ${targetName(platform)} on this machine, which is ${host}: ${names.join(", ")}`,
    {
      code: "SCRIPTS_ELSEWHERE",
      hint: `remove --allow-scripts, or build for each target on a machine of that kind: new ImageSpec({ …, platform: "${host}" })`,
    },
  );
}

/** Without these options npm installs for the machine that it runs on. */
function platformFlags(platform: NpmTarget): string[] {
  const host = hostTarget();
  if (host.os === platform.os && host.cpu === platform.cpu && host.libc === platform.libc) return [];
  return [
    `--os=${platform.os}`,
    `--cpu=${platform.cpu}`,
    ...(platform.libc === undefined ? [] : [`--libc=${platform.libc}`]),
  ];
}
