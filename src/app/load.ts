/** The user's file → a bundle and the Apps in it: bundled once, described in a worker, checked. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Bundle, bundle as bundleFile, type ExternalPackage } from "../bundle/bundle.ts";
import { displayPath } from "../bundle/display-path.ts";
import { BUNDLE_FILE } from "../bundle/esbuild.ts";
import { PackageIndex } from "../bundle/package-index.ts";
import { requiredNames } from "../bundle/required-names.ts";
import { Trace } from "../core/trace.ts";
import { makeSystemWorkDir } from "../core/work-dir.ts";
import { parseSpec } from "../packages/package-spec.ts";
import { type Describer, startDescriber } from "./describe.ts";
import { isRawSdk, type RawFile } from "./description.ts";
import type { EarlyLoad } from "./early-load.ts";
import { entryFile } from "./entry-file.ts";
import { describeError, noAppError } from "./failures.ts";
import type { LoadedFile } from "./loaded-file.ts";
import { type MissingPackage, packagesNotInstalled } from "./missing-packages.ts";
import { checkUniqueNames } from "./select.ts";
import { validateApp } from "./validate.ts";

/** What {@link loadApps} needs. */
export interface LoadOptions {
  /** The user's file, as typed. */
  file: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** The SDK of the running CLI: `builtFile("sdk/index.js")`. */
  sdkFile: string;
  /** The built worker: `builtFile("describe-worker.js")`. */
  workerFile: string;
  /** Directories of packages that are not installed next to the file, by package name. */
  packageDirs?: ReadonlyMap<string, string>;
  /** Time limit for running the file once, in milliseconds. Default 10 000. */
  timeoutMs?: number;
  /** What has begun already, probably for the same file. Used up. */
  early?: EarlyLoad | undefined;
  signal: AbortSignal;
  trace?: Trace | undefined;
}

/**
 * Bundles `file` and finds its Apps. Throws usage errors (exit 2) with a place in the file where there is one, and
 * `PACKAGE_NOT_INSTALLED` (see `missingPackagesOf`) when it has to be called again with `packageDirs`.
 */
export async function loadApps(options: LoadOptions): Promise<LoadedFile> {
  const { cwd, env, sdkFile, workerFile, packageDirs = new Map(), timeoutMs = 10_000, early, signal } = options;
  const trace = options.trace ?? new Trace();
  const entry = entryFile(options.file, cwd);
  const describers: Describer[] = early ? [early.describer] : [];
  const folders: string[] = [];
  const tidy = async () => {
    await Promise.all(describers.map((describer) => describer.close()));
    // What the thread still read there is nobody's concern any more.
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  };
  const start = () => {
    const describer = startDescriber(workerFile, env);
    describers.push(describer);
    return describer;
  };
  try {
    // Two slow starts at once: esbuild's service and the worker thread.
    const ready = early?.describer ?? start();
    const bundling = trace.time("bundle the file", () =>
      bundleFile({ entry, cwd, sdkFile, early: early?.bundle, signal }),
    );
    bundling.catch(() => undefined); // awaited at once, but for a thread that cannot be started
    let bundle = await bundling;
    const context = { cwd, packageDirs, timeoutMs, signal, folders };
    let raw = await trace.time("run the file once, to describe its Apps", () => describe(bundle, ready, context));
    const listed = listedPackages(raw, bundle.root);
    if (!fits(bundle, listed)) {
      // What the files mention and what the ImageSpecs list are not the same: once more, with the list itself.
      const external = [...listed.values()];
      bundle = await trace.time("bundle again, without the listed packages", () =>
        bundleFile({ entry, cwd, sdkFile, external, signal }),
      );
      const again = start();
      raw = await trace.time("run it again", () => describe(bundle, again, context));
    }
    bundle = withSpecs(bundle, listed);
    if (raw.apps.length === 0) throw noAppError(raw, bundle, cwd);
    const file = displayPath(entry, cwd);
    const apps = raw.apps.map((app) => validateApp(app, raw.apps, bundle.permissions));
    checkUniqueNames({ file, cwd, bundle, apps });
    const tidied = tidy().catch(() => undefined); // a folder below the system's own for such; it removes what stays
    return { file, cwd, bundle, apps, tidied };
  } catch (error) {
    await tidy();
    throw error;
  }
}

/**
 * Every package that an ImageSpec of the file lists, itself or by its lock file: its name, and the first spec of it as
 * written.
 */
function listedPackages({ apps }: RawFile, root: string): Map<string, string> {
  const specs = new Map<string, string>();
  for (const { options } of apps) {
    const image = options["containerImage"];
    const given = isRawSdk(image, "ImageSpec") ? image.value : image;
    const fields = typeof given === "object" && given !== null && !Array.isArray(given) ? given : {};
    const { packages: list, requirements } = fields;
    const required = typeof requirements === "string" ? requiredNames(resolve(root, requirements)) : [];
    for (const item of [...(Array.isArray(list) ? list : []), ...required]) {
      const name = typeof item === "string" ? parseSpec(item)?.name : undefined;
      if (name !== undefined && !specs.has(name)) specs.set(name, String(item).trim());
    }
  }
  return specs;
}

/** True when exactly the listed packages stayed outside. */
function fits({ externals, contents }: Bundle, names: ReadonlyMap<string, string>): boolean {
  const outside = externals.filter(({ reason }) => reason === "listed");
  return outside.every(({ name }) => names.has(name)) && !contents.some(({ name }) => names.has(name));
}

/** Tells of each external package what is now known: whether it is listed, and as what. The code stays as it is. */
function withSpecs(bundle: Bundle, names: ReadonlyMap<string, string>): Bundle {
  const externals = bundle.externals.map((external): ExternalPackage => {
    const spec = names.get(external.name);
    return spec === undefined ? external : { ...external, reason: "listed", spec };
  });
  return { ...bundle, externals };
}

interface DescribeContext {
  cwd: string;
  packageDirs: ReadonlyMap<string, string>;
  timeoutMs: number;
  signal: AbortSignal;
  /** Gets the path of the folder that was made: it is removed later. */
  folders: string[];
}

async function describe(bundle: Bundle, describer: Describer, context: DescribeContext): Promise<RawFile> {
  const dirs = locateExternals(bundle, context);
  // A few small files, and the thread waits for them: each detour over a pool of threads would be longer than the work.
  const dir = makeSystemWorkDir("describe");
  context.folders.push(dir);
  const file = join(dir, BUNDLE_FILE);
  writeFileSync(file, bundle.code);
  linkPackages(dir, dirs);
  linkFiles(dir, bundle);
  const outcome = await describer.describe(file, context.timeoutMs, context.signal);
  if (outcome.type === "described") return outcome.file;
  const { cwd, timeoutMs } = context;
  throw await describeError(outcome, { bundle, bundleFile: file, cwd, timeoutMs });
}

/** Directory of each package that the bundle imports. Throws `PACKAGE_NOT_INSTALLED` for those that have none. */
function locateExternals(bundle: Bundle, { packageDirs, cwd }: DescribeContext): Map<string, string> {
  const dirs = new Map<string, string>();
  const missing: MissingPackage[] = [];
  for (const external of bundle.externals) {
    const dir = packageDirs.get(external.name) ?? external.dir;
    if (dir !== undefined) dirs.set(external.name, dir);
    else missing.push({ name: external.name, spec: specOf(external) });
  }
  if (missing.length > 0) throw packagesNotInstalled(missing, bundle, cwd);
  // Pinned packages that no import statement names may be loaded by a computed name: they are there when it runs, too.
  const index = new PackageIndex();
  for (const mention of bundle.mentioned) {
    const name = parseSpec(mention)?.name;
    if (name === undefined || dirs.has(name)) continue;
    const dir = packageDirs.get(name) ?? index.find(bundle.root, name)?.dir;
    if (dir !== undefined) dirs.set(name, dir);
  }
  return dirs;
}

/** The spec with which an external package goes into the packages layer. */
function specOf({ name, spec, installedVersion }: ExternalPackage): string {
  return spec ?? (installedVersion === undefined ? name : `${name}@${installedVersion}`);
}

/**
 * What the packages layer of an image has to hold for this bundle: the packages that the image lists, and those that
 * the bundle imports although it does not (native ones, and those that another App of the same file lists).
 */
export function packagesFor(image: { packages: readonly string[] }, bundle: Bundle): string[] {
  const names = new Set(image.packages.map((spec) => parseSpec(spec)?.name));
  return [...image.packages, ...bundle.externals.filter(({ name }) => !names.has(name)).map(specOf)];
}

function linkPackages(dir: string, packages: ReadonlyMap<string, string>): void {
  for (const [name, target] of packages) {
    const link = join(dir, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(target, link, "dir");
  }
}

/** Code that looks for files next to itself finds the user's own; `node_modules` and the bundle stay ours. */
function linkFiles(dir: string, { code, root }: Bundle): void {
  const text = new TextDecoder().decode(code);
  // The bundle's first line is our own and asks for import.meta.url.
  if (!text.includes("import.meta.", text.indexOf("\n"))) return;
  const names = readdirSync(root).filter((name) => name !== "node_modules" && !name.startsWith(BUNDLE_FILE));
  for (const name of names) symlinkSync(join(root, name), join(dir, name));
}
