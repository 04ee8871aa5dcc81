/** The user's file → one ES module that runs everywhere, and its source map. The same bytes in every directory. */
import { Buffer } from "node:buffer";
import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type * as esbuild from "esbuild";
import type { Permission } from "../contract/types.ts";
import { bundleError, warningText } from "./faults.ts";
import { neededPermissions } from "./needs.ts";
import { owningPackage, PackageIndex } from "./packages.ts";
import { packagesPlugin, type ResolveNotes } from "./plugin.ts";
import { portableMap } from "./source-map.ts";
import { type Mentions, packageNameOf, parseSpec, scanMentions } from "./specs.ts";

/** Name of the bundle wherever it lies; the map is beside it with `.map` at its end. */
export const BUNDLE_FILE = "app.mjs";

/** A package that the bundle imports from `node_modules` at run time. */
export interface ExternalPackage {
  name: string;
  /** As the user wrote it: `"hono@4.13.19"`, or a name without a version. */
  spec?: string;
  /** `listed`: stands in `ImageSpec.packages`; `native`: has machine code, so it cannot be bundled. */
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
  signal: AbortSignal;
}

/** Bundled CommonJS packages call `require` for Node's own modules; an ES module has none unless it makes one. */
const BANNER =
  'import{createRequire as __appctlRequire}from"node:module";const require=__appctlRequire(import.meta.url);';

const TEXT_FILES = [".txt", ".md", ".html", ".css", ".sql", ".graphql"];

/**
 * Bundles `entry`. Throws an `AppctlError` `BUNDLE_FAILED` with one fault for each syntax error and unresolved import.
 */
export async function bundle(options: BundleOptions): Promise<Bundle> {
  const { signal } = options;
  signal.throwIfAborted();
  const cwd = realpathSync(options.cwd);
  const entry = realpathSync(resolve(options.cwd, options.entry));
  const index = new PackageIndex();
  let alsoNative: ReadonlySet<string> = new Set();
  for (;;) {
    const pass = await bundleOnce({ ...options, cwd, entry }, index, alsoNative);
    const grown = new Set([...alsoNative, ...pass.notes.foundNative]);
    // A `.node` file deep inside a package: that package is native after all, so it has to stay outside.
    if (grown.size > alsoNative.size) alsoNative = grown;
    else return pass.bundle;
  }
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
  // By `require`: a third of the time that an `import` of this package takes.
  const { build }: typeof esbuild = createRequire(import.meta.url)("esbuild");
  const building = build(buildOptions(entry, cwd, notes));
  mentions = scanMentions(entry);
  const result = await orAbort(building, signal).catch((error: unknown) => {
    if (isBuildFailure(error)) throw bundleError(error.errors, entry, cwd);
    throw error;
  });

  const text = (suffix: string) => result.outputFiles.find(({ path }) => path.endsWith(suffix))?.text ?? "";
  const output = Object.values(result.metafile.outputs).find(({ entryPoint }) => entryPoint !== undefined);
  const used = new Set(output?.imports.map(({ path }) => packageNameOf(path)));
  const inputs = Object.keys(result.metafile.inputs).map((path) => resolve(cwd, path));
  const specOf = (name: string) => (listed ? listed.get(name) : (mentions.pinned.get(name) ?? name));
  const externals = [...notes.external]
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
    notes,
    bundle: {
      code: Buffer.from(text(BUNDLE_FILE)),
      map: portableMap(text(`${BUNDLE_FILE}.map`), root, notes.sdkResolved),
      entry,
      root,
      externals,
      contents: contentsOf(inputs, index, notes.sdkResolved),
      inputs: [entry, ...inputs.filter((path) => path !== entry && !notes.sdkResolved.has(path)).sort()],
      mentioned: [...mentions.pinned.values()],
      permissions: neededPermissions(
        output?.imports.map(({ path }) => path) ?? [],
        externals.some(({ reason }) => reason === "native"),
      ),
      warnings: result.warnings
        .filter(({ location }) => location && !owningPackage(resolve(cwd, location.file)))
        .map((message) => warningText(message, cwd)),
    },
  };
}

function buildOptions(entry: string, cwd: string, notes: ResolveNotes) {
  return {
    entryPoints: [entry],
    outfile: join(dirname(entry), BUNDLE_FILE),
    absWorkingDir: cwd,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "node22.19",
    minify: true,
    keepNames: true,
    legalComments: "none",
    sourcemap: "linked",
    sourcesContent: false,
    logLevel: "silent",
    banner: { js: BANNER },
    define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" },
    loader: Object.fromEntries(TEXT_FILES.map((ext) => [ext, "text" as const])),
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

/** esbuild's one-shot build cannot be cancelled; whoever aborts does not have to wait for it. */
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
