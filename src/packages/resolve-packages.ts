import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fault } from "../core/errors.ts";
import { scriptWarnings } from "./install-scripts.ts";
import { emptyLock, LockCache, projectManifest, type ResolvedLock, readNpmLock } from "./lockfiles/package-lock.ts";
import { type NpmConfig, npmConfig } from "./npm-config.ts";
import { isNotFound, npmFailure, packagesNotFound } from "./npm-failure.ts";
import { inNpmFolder } from "./npm-folder.ts";
import { findNpmProject, type NpmProject } from "./npm-project.ts";
import type { PackageContext } from "./package-context.ts";
import { exactVersion, PACKAGES_FIELD, type PackageSpec, parsePackages } from "./package-spec.ts";
import { type NpmResult, runNpm } from "./run-npm.ts";

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
  const requested = parsePackages(context.packages);
  if (requested.length === 0) return { lock: emptyLock(), warnings: [], cached: true };
  const project = context.project ?? (await findNpmProject(context.appDir));
  const specs = requested.map(({ name, range }): PackageSpec => {
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
    cache.write(request, lock);
  }
  return { lock, warnings: [...project.warnings, ...warningsOf(requested, lock, project, context)], cached };
}

async function askNpm(
  specs: readonly PackageSpec[],
  project: NpmProject,
  config: NpmConfig,
  context: PackageContext & { packages: readonly string[] },
): Promise<ResolvedLock> {
  const { signal } = context;
  const total = specs.length;
  context.onProgress?.({
    step: "resolve",
    message: `resolving ${total} ${total === 1 ? "package" : "packages"}`,
    total,
  });
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
  requested: readonly PackageSpec[],
  resolved: ResolvedLock,
  project: NpmProject,
  context: PackageContext,
): string[] {
  const { packages } = resolved;
  const warnings: string[] = [];
  for (const { name, range } of requested) {
    const locked = project.lock?.versions.get(name);
    const got = packages.find((entry) => entry.name === name)?.version;
    if (range === undefined || locked === undefined || got === locked) continue;
    const chosen =
      exactVersion(range) === got ? `the image pins ${name}@${got}` : `${name}@${range} is ${got} in the image`;
    warnings.push(`${chosen}, but ${project.lock?.file} has ${locked}`);
  }
  return [...warnings, ...scriptWarnings(resolved, context)];
}
