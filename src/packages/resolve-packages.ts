import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AppctlError, type Fault, usageError } from "../core/errors.ts";
import type { BuildProgress } from "../core/events.ts";
import { makeWorkDir } from "../core/work-dir.ts";
import { type NpmResult, runNpm } from "./npm.ts";
import { type NpmConfig, npmConfig } from "./npm-config.ts";
import { isNotFound, npmFailure, packagesNotFound } from "./npm-failure.ts";
import { findNpmProject, type NpmProject } from "./npm-project.ts";
import type { Platform } from "./npm-target.ts";
import { hostPlatform, platformName } from "./npm-target.ts";
import {
  emptyLock,
  entriesFor,
  fits,
  LockCache,
  packageName,
  packagesFor,
  projectManifest,
  type ResolvedLock,
  readNpmLock,
} from "./package-lock.ts";
import { exactVersion, PACKAGES_FIELD, type PackageSpec, parsePackages } from "./package-spec.ts";

/** What both steps need to know of the world. */
export interface PackageContext {
  /** Folder of the user's app file: its `.npmrc` and lock file apply. */
  appDir: string;
  /** What of the user's npm project applies, when it is not to be looked for from `appDir` on. */
  project?: NpmProject | undefined;
  /** Folder for resolved locks and for work. */
  cacheDir: string;
  /** Environment of the run; npm gets it without what `npm run` put there. */
  env: NodeJS.ProcessEnv;
  /** What relative paths in `env` refer to. */
  cwd: string;
  signal: AbortSignal;
  platform: Platform;
  /** Let packages run their install scripts. Default: none runs, and a warning names those that have some. */
  allowScripts?: boolean | undefined;
  /** Said of install scripts that are not run. Default: the flag that runs them. */
  aboutScripts?: string | undefined;
  onProgress?: ((progress: BuildProgress) => void) | undefined;
}

/** The outcome of {@link resolvePackages}. `cached`: neither npm nor the network was asked. */
export interface Resolution {
  lock: ResolvedLock;
  warnings: string[];
  cached: boolean;
}

/**
 * Gives every package of `packages` (`name`, `name@range`) and every dependency one version. A pin wins; a name without one
 * takes the version of the user's lock file, else the newest. `refresh` asks the registry even when the answer is known.
 * Throws INVALID_PACKAGES, PACKAGE_NOT_FOUND (each with a fault for every bad package), NPM_MISSING, REGISTRY_UNAVAILABLE,
 * REGISTRY_REFUSED, NPM_FAILED.
 */
export async function resolvePackages(context: ResolveContext): Promise<Resolution> {
  return (await resolveWith(askNpm, context)) as Resolution;
}

/** The same when the answer is in the cache, else undefined: neither npm nor the network is asked. */
export function knownPackages(context: ResolveContext): Promise<Resolution | undefined> {
  return resolveWith(async () => undefined, context);
}

type ResolveContext = PackageContext & { packages: readonly string[]; refresh?: boolean | undefined };

async function resolveWith(
  ask: (...question: Parameters<typeof askNpm>) => Promise<ResolvedLock | undefined>,
  context: ResolveContext,
): Promise<Resolution | undefined> {
  const asked = parsePackages(context.packages);
  if (asked.length === 0) return { lock: emptyLock(), warnings: [], cached: true };
  const project = context.project ?? (await findNpmProject(context.appDir));
  const specs = asked.map(({ name, range }): PackageSpec => {
    const wanted = range ?? project.lock?.versions.get(name);
    return wanted === undefined ? { name } : { name, range: wanted };
  });
  const config = await npmConfig(context.env, context.cwd, project.npmrc);
  const cache = new LockCache(join(context.cacheDir, "locks"));
  // Another registry may have other packages of the same names, so it belongs to the question.
  const request = { specs, platform: context.platform, registries: config.registries };
  let lock = context.refresh ? undefined : await cache.read(request);
  const cached = lock !== undefined;
  if (lock === undefined) {
    lock = await ask(specs, project, config, context);
    if (lock === undefined) return undefined;
    await cache.write(request, lock);
  }
  return { lock, warnings: [...project.warnings, ...warningsOf(asked, lock, project, context)], cached };
}

async function askNpm(
  specs: readonly PackageSpec[],
  project: NpmProject,
  config: NpmConfig,
  context: PackageContext & { packages: readonly string[] },
): Promise<ResolvedLock> {
  const { signal } = context;
  const total = specs.length;
  context.onProgress?.({ step: "resolve", message: `resolving ${count(total, "package")}`, total });
  return inNpmFolder(context, project, projectManifest(specs), async (cwd) => {
    const run = (args: string[]) => runNpm({ args, cwd, env: config.env, signal });
    const result = await run(["install", "--package-lock-only"]);
    if (isNotFound(result)) throw packagesNotFound(await nameMissing(result, specs, context.packages, project, run));
    if (result.code !== 0) throw npmFailure(result, "resolve the packages of the image");
    return readNpmLock(await readFile(join(cwd, "package-lock.json"), "utf8"), specs);
  });
}

/** npm stops at the first package that it cannot find; this asks for each one. */
async function nameMissing(
  result: NpmResult,
  specs: readonly PackageSpec[],
  packages: readonly string[],
  project: NpmProject,
  run: (args: string[]) => Promise<NpmResult>,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const { name, range } of specs) {
    const found = await run(["view", range === undefined ? name : `${name}@${range}`, "version"]);
    if (found.code === 0 && found.stdout.trim() !== "") continue;
    if (found.code !== 0 && !isNotFound(found)) throw npmFailure(found, `look up ${name}`);
    const index = packages.findIndex((text) => text.trim() === name || text.trim().startsWith(`${name}@`));
    const path = `${PACKAGES_FIELD}[${index}]`;
    const versions = range === undefined ? found : await run(["view", name, "versions"]);
    if (versions.code !== 0 || versions.stdout.trim() === "") {
      const hint = "check the spelling; a private package needs its registry and credentials in .npmrc";
      faults.push({ path, message: `the npm package ${name} does not exist, or may not be read`, hint });
      continue;
    }
    const fromLock = packages[index]?.trim() === name ? project.lock?.file : undefined;
    faults.push({
      path,
      message: `the npm package ${name} has no version ${range}${fromLock === undefined ? "" : `, which ${fromLock} names`}`,
      hint: `versions that exist: ${newest(versions.stdout).join(", ")}`,
    });
  }
  // Every package that was asked for exists, so it is a dependency of one that does not.
  if (faults.length === 0) {
    faults.push({
      path: PACKAGES_FIELD,
      message: `a dependency of the packages does not exist: ${result.error?.summary}`,
      hint: "choose another version of the package that needs it",
    });
  }
  return faults;
}

/** The last few versions of npm's list, releases before pre-releases. */
function newest(json: string): string[] {
  const versions: string[] = [JSON.parse(json)].flat().map(String);
  const releases = versions.filter((version) => !version.includes("-"));
  return (releases.length > 0 ? releases : versions).slice(-5).reverse();
}

function warningsOf(
  asked: readonly PackageSpec[],
  resolved: ResolvedLock,
  project: NpmProject,
  context: PackageContext,
): string[] {
  const { packages } = resolved;
  const warnings: string[] = [];
  for (const { name, range } of asked) {
    const locked = project.lock?.versions.get(name);
    const got = packages.find((entry) => entry.name === name)?.version;
    if (range === undefined || locked === undefined || got === locked) continue;
    const chosen =
      exactVersion(range) === got ? `the image pins ${name}@${got}` : `${name}@${range} is ${got} in the image`;
    warnings.push(`${chosen}, but ${project.lock?.file} has ${locked}`);
  }
  return [...warnings, ...scriptWarnings(resolved, context)];
}

/** Says whose install scripts are left out. */
export function scriptWarnings(
  { lock }: ResolvedLock,
  { allowScripts, aboutScripts = "--allow-scripts runs them" }: Pick<PackageContext, "allowScripts" | "aboutScripts">,
): string[] {
  const names = namesWithScripts(lock);
  if (names.length === 0 || allowScripts) return [];
  return [`install scripts are not run (${aboutScripts}): ${names.join(", ")}`];
}

/** Names of the packages that have install scripts; all names where the lock file does not say which have some. */
export function packagesWithScripts({ lock, unsaid }: ResolvedLock): string[] {
  return namesWithScripts(lock, unsaid?.includes("scripts"));
}

function namesWithScripts(lock: ResolvedLock["lock"], any = false): string[] {
  const scripts = Object.entries(lock.packages).filter(
    ([path, entry]) => path !== "" && (any || entry.hasInstallScript === true),
  );
  return [...new Set(scripts.map(([path, entry]) => packageName(path, entry)))].sort();
}

/** Packages on disk. `nodeModules` is undefined when there are none to install on the platform. */
export interface InstalledPackages {
  nodeModules: string | undefined;
  /** Removes them. */
  dispose(): Promise<void>;
}

/** What progress says of `total` packages that are installed. */
export function installMessage(total: number): string {
  return `installing ${count(total, "package")}`;
}

/** Installs exactly the packages of `lock` below the cache folder. Throws as {@link resolvePackages}. */
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
    const result = await runNpm({
      // Versions never change, so what npm has cached of the registry is as good as asking again.
      args: ["ci", "--prefer-offline", ...platformFlags(context.platform)],
      cwd: dir,
      env: config.env,
      signal: context.signal,
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
      const args = ["rebuild"];
      const rebuilt = await runNpm({
        args,
        cwd: dir,
        env: config.env,
        signal: context.signal,
        scripts: scripts.length > 0,
      });
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
async function removeForeign(dir: string, lock: ResolvedLock["lock"], platform: Platform): Promise<void> {
  for (const [path, { optional }] of entriesFor(lock, platform)) {
    if (optional !== true) continue;
    const text = await readFile(join(dir, path, "package.json"), "utf8").catch(() => undefined);
    // What npm could not install it has left out, or it went with the package that it lay in.
    if (text !== undefined && !fits(JSON.parse(text), platform))
      await rm(join(dir, path), { recursive: true, force: true });
  }
}

/** What install scripts make of a package is for the machine that they run on. */
function scriptsElsewhere(names: readonly string[], platform: Platform): AppctlError {
  const here = platformName(hostPlatform());
  return usageError(
    `install scripts cannot be run for ${platformName(platform)} on this machine, which is ${here}: ${names.join(", ")}`,
    {
      code: "SCRIPTS_ELSEWHERE",
      hint: `leave --allow-scripts out, or build each platform on a machine of its kind: new ImageSpec({ …, platform: "${here}" })`,
    },
  );
}

/** npm installs for the machine that it runs on unless it is told otherwise. */
function platformFlags(platform: Platform): string[] {
  const host = hostPlatform();
  if (host.os === platform.os && host.cpu === platform.cpu && host.libc === platform.libc) return [];
  return [
    `--os=${platform.os}`,
    `--cpu=${platform.cpu}`,
    ...(platform.libc === undefined ? [] : [`--libc=${platform.libc}`]),
  ];
}

async function makeNpmFolder(context: PackageContext, project: NpmProject, manifest: object): Promise<string> {
  const dir = await makeWorkDir(join(context.cacheDir, "tmp"));
  // A link, not a copy: it can hold credentials, and only the folder node_modules beside it goes into the image.
  if (project.npmrc !== undefined) await symlink(project.npmrc, join(dir, ".npmrc"));
  await writeFile(join(dir, "package.json"), JSON.stringify({ ...manifest, private: true }));
  return dir;
}

async function inNpmFolder<T>(
  context: PackageContext,
  project: NpmProject,
  manifest: object,
  work: (dir: string) => Promise<T>,
): Promise<T> {
  const dir = await makeNpmFolder(context, project, manifest);
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
