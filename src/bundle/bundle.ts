/** The user's file → one ES module that runs everywhere, and its source map. The same bytes in every directory. */
import { Buffer } from "node:buffer";
import { realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type * as esbuild from "esbuild";
import type { Permission } from "../contract/types.ts";
import { packageNameOf, parseSpec } from "../packages/package-spec.ts";
import type { EarlyBundle, EarlyOutput } from "./early-bundle.ts";
import { hasEscapes, outputOf, sdkOfSame } from "./early-check.ts";
import { BUNDLE_FILE, BUNDLE_OPTIONS, requireEsbuild } from "./esbuild.ts";
import { bundleError, warningText } from "./faults.ts";
import { type Mentions, scanMentions } from "./mentions.ts";
import { neededPermissions } from "./needs.ts";
import { owningPackage, PackageIndex } from "./package-index.ts";
import { packagesPlugin, type ResolveNotes } from "./plugin.ts";
import { portableMap } from "./source-map.ts";

/** A package that the bundle imports from `node_modules` at run time. */
export interface ExternalPackage {
  name: string;
  /** As the user wrote it: `"hono@4.13.19"`, or a name without a version. */
  spec?: string;
  /** `listed`: is in `ImageSpec.packages`; `native`: has machine code, so it cannot be bundled. */
  reason: "listed" | "native";
  /** Version that is installed where the import looks for it. */
  installedVersion?: string;
  /** Its directory there (absolute, real). */
  dir?: string;
}

/** A bundled file. */
export interface Bundle {
  /** ES module, UTF-8; ends with a `sourceMappingURL` of `app.mjs.map`. */
  code: Uint8Array;
  /** Source map, revision 3, without the sources' text. `sources` are relative to `root`, or start with a package. */
  map: Uint8Array;
  /** Absolute real path of the user's file. */
  entry: string;
  /** Directory of the entry: what `include` and the map's sources are relative to. */
  root: string;
  /** Packages that the code imports at run time, by name. */
  externals: ExternalPackage[];
  /** Packages whose code is inside the bundle, by name: what a bill of materials lists. */
  contents: { name: string; version: string }[];
  /** Absolute paths of every file that went in, the entry first; the SDK is not among them. */
  inputs: string[];
  /** Pinned package specs that first-party files mention, in their order: probably the `ImageSpec.packages`. */
  mentioned: string[];
  /** What the code has to be permitted, as far as its imports tell. */
  permissions: Permission[];
  /** Things that esbuild found odd in first-party files, each in one line with its place. */
  warnings: string[];
}

/** What {@link bundle} needs. */
export interface BundleOptions {
  /** The user's file, absolute or relative to `cwd`. */
  entry: string;
  cwd: string;
  /** What `import "appctl"` becomes where the user's project has none installed. */
  sdkFile: string;
  /** The packages to leave outside, as listed (`hono@4.13.19`). Without it they are guessed from the files' texts. */
  external?: readonly string[];
  /** A bundling of probably the same file, which began before. */
  early?: EarlyBundle | undefined;
  signal: AbortSignal;
}

/**
 * Bundles `entry`. Throws an `AppctlError` `BUNDLE_FAILED` with one fault for each syntax error and unresolved import.
 */
export async function bundle(options: BundleOptions): Promise<Bundle> {
  const { signal } = options;
  signal.throwIfAborted();
  const cwd = realpathSync(options.cwd);
  const entry = realpathSync(resolve(options.cwd, options.entry));
  const index = new PackageIndex();
  const started = options.early && (await orAbort(options.early.take(entry, cwd), signal));
  const early = started && earlyBundle({ ...options, cwd, entry }, started, index);
  if (early) return early;
  let alsoNative: ReadonlySet<string> = new Set();
  for (;;) {
    const pass = await bundleOnce({ ...options, cwd, entry }, index, alsoNative);
    const grown = new Set([...alsoNative, ...pass.notes.foundNative]);
    // A `.node` file deep inside a package: that package is native after all, so it has to stay outside.
    if (grown.size > alsoNative.size) alsoNative = grown;
    else return pass.bundle;
  }
}

/** The bundle that was begun early; undefined when it is not the one that would be made now. */
function earlyBundle(
  { entry, cwd, external }: BundleOptions,
  { code, map, mapDir, metafile }: EarlyOutput,
  index: PackageIndex,
): Bundle | undefined {
  if (external || hasEscapes(map)) return undefined;
  const mentions = scanMentions(entry);
  const isOutside = (name: string, fromDir: string) =>
    (name !== "appctl" && (mentions.pinned.has(name) || mentions.bare.has(name))) ||
    index.find(fromDir, name)?.native === true;
  const sdkResolved = sdkOfSame(metafile, { entry, cwd, isOutside });
  if (!sdkResolved) return undefined;
  const output = { code, map: portableMap(map, dirname(entry), sdkResolved, mapDir), metafile, warnings: [] };
  return describeBundle(output, { entry, cwd, index, mentions, sdkResolved, outside: new Map(), listed: undefined });
}

async function bundleOnce(
  { entry, cwd, sdkFile, external, signal }: BundleOptions,
  index: PackageIndex,
  alsoNative: ReadonlySet<string>,
): Promise<{ bundle: Bundle; notes: ResolveNotes }> {
  const root = dirname(entry);
  const listed = external && new Map(external.map((spec) => [parseSpec(spec)?.name ?? spec, spec]));
  let mentions: Mentions = { pinned: new Map(), bare: new Set() };
  const notes: ResolveNotes = {
    index,
    root,
    sdkFile: realpathSync(sdkFile),
    // The SDK is everybody's import and its name a common word: only the true list can put it outside.
    isListed: (name) =>
      listed ? listed.has(name) : name !== "appctl" && (mentions.pinned.has(name) || mentions.bare.has(name)),
    alsoNative,
    external: new Map(),
    foundNative: new Set(),
    sdkResolved: new Set(),
  };
  const building = requireEsbuild().build(buildOptions(entry, cwd, notes));
  mentions = scanMentions(entry);
  const result = await orAbort(building, signal).catch((error: unknown) => {
    if (isBuildFailure(error)) throw bundleError(error.errors, entry, cwd);
    throw error;
  });
  const text = (suffix: string) => result.outputFiles.find(({ path }) => path.endsWith(suffix))?.text ?? "";
  const { sdkResolved, external: outside } = notes;
  const output = {
    code: Buffer.from(text(BUNDLE_FILE)),
    map: portableMap(text(`${BUNDLE_FILE}.map`), root, sdkResolved),
    metafile: result.metafile,
    warnings: result.warnings,
  };
  return { notes, bundle: describeBundle(output, { entry, cwd, index, mentions, sdkResolved, outside, listed }) };
}

/** What esbuild made. */
interface Output {
  code: Uint8Array;
  map: Uint8Array;
  metafile: esbuild.Metafile;
  warnings: esbuild.Message[];
}

/** What is known of it besides. */
interface Circumstances {
  entry: string;
  cwd: string;
  index: PackageIndex;
  mentions: Mentions;
  sdkResolved: ReadonlySet<string>;
  outside: ResolveNotes["external"];
  /** Specs by package, when it is known what stays outside. */
  listed: ReadonlyMap<string, string> | undefined;
}

function describeBundle({ code, map, metafile, warnings }: Output, of: Circumstances): Bundle {
  const { entry, cwd, index, mentions, sdkResolved, outside, listed } = of;
  const output = outputOf(metafile);
  const used = new Set(output?.imports.map(({ path }) => packageNameOf(path)));
  const inputs = Object.keys(metafile.inputs).map((path) => resolve(cwd, path));
  const specOf = (name: string) => (listed ? listed.get(name) : (mentions.pinned.get(name) ?? name));
  const externals = [...outside]
    .filter(([name]) => used.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { reason, installed }]): ExternalPackage => {
      const spec = reason === "listed" ? specOf(name) : undefined;
      return {
        name,
        reason,
        ...(spec ? { spec } : {}),
        ...(installed ? { installedVersion: installed.version, dir: installed.dir } : {}),
      };
    });
  return {
    code,
    map,
    entry,
    root: dirname(entry),
    externals,
    contents: contentsOf(inputs, index, sdkResolved),
    inputs: [entry, ...inputs.filter((path) => path !== entry && !sdkResolved.has(path)).sort()],
    mentioned: [...mentions.pinned.values()],
    permissions: neededPermissions(
      output?.imports.map(({ path }) => path) ?? [],
      externals.some(({ reason }) => reason === "native"),
    ),
    warnings: warnings
      .filter(({ location }) => location && !owningPackage(resolve(cwd, location.file)))
      .map((message) => warningText(message, cwd)),
  };
}

function buildOptions(entry: string, cwd: string, notes: ResolveNotes) {
  return {
    entryPoints: [entry],
    outfile: join(dirname(entry), BUNDLE_FILE),
    absWorkingDir: cwd,
    ...BUNDLE_OPTIONS,
    write: false,
    metafile: true,
    logLevel: "silent",
    plugins: [packagesPlugin(notes)],
  } as const satisfies esbuild.BuildOptions;
}

/** Packages with code inside, each name and version once. */
function contentsOf(
  inputs: string[],
  index: PackageIndex,
  sdkFiles: ReadonlySet<string>,
): { name: string; version: string }[] {
  const found = new Map<string, { name: string; version: string }>();
  for (const file of inputs) {
    const owner = sdkFiles.has(file) ? undefined : owningPackage(file);
    const installed = owner && index.at(owner.dir, owner.name);
    if (installed)
      found.set(`${installed.name}@${installed.version}`, { name: installed.name, version: installed.version });
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, content]) => content);
}

/** esbuild's one-shot build cannot be cancelled; a caller that aborts does not wait for it. */
async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function isBuildFailure(error: unknown): error is esbuild.BuildFailure {
  return error instanceof Error && Array.isArray((error as Partial<esbuild.BuildFailure>).errors);
}
