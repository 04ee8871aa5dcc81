import { dirname } from "node:path";
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { packageNameOf } from "../packages/package-spec.ts";
import { type InstalledPackage, owningPackage, type PackageIndex } from "./package-index.ts";

/** Input of the plugin, and the places where it notes what it did. */
export interface ResolveNotes {
  index: PackageIndex;
  /** Directory of the entry. */
  root: string;
  sdkFile: string;
  /** True when a package has to stay outside because the image lists it. */
  isListed(name: string): boolean;
  /** Packages that turned out to be native only when their `.node` file was reached in an earlier pass. */
  alsoNative: ReadonlySet<string>;
  /** Filled in: what stays outside. `installed` is missing when it is not installed where the import looks for it. */
  external: Map<string, { reason: "listed" | "native"; installed?: InstalledPackage; firstParty: boolean }>;
  /** Filled in: packages to be made native in the next pass. */
  foundNative: Set<string>;
  /** Filled in: the file that `import "appctl"` became. */
  sdkResolved: Set<string>;
}

/** Marks our own question to esbuild, so that the plugin does not answer it with itself. */
const OURS = { appctl: true };

/** Decides for each bare import whether it is bundled. It sees bare imports only, since each call crosses a pipe. */
export function packagesPlugin(notes: ResolveNotes): Plugin {
  return {
    name: "appctl-packages",
    setup(build) {
      build.onResolve({ filter: /^[^./#]/ }, (args) => resolveBare(build, notes, args));
      build.onResolve({ filter: /\.node$/ }, (args) => resolveAddon(notes, args));
    },
  };
}

async function resolveBare(
  build: PluginBuild,
  notes: ResolveNotes,
  args: OnResolveArgs,
): Promise<OnResolveResult | undefined> {
  if (args.kind === "entry-point" || args.pluginData === OURS) return undefined;
  const name = packageNameOf(args.path);
  if (!name) return undefined;
  const firstParty = owningPackage(args.importer) === undefined;
  const here = notes.index.find(args.resolveDir, name);
  if (notes.isListed(name)) {
    const top = notes.index.find(notes.root, name);
    // A package that brings another version of its own keeps it: the listed one is for everybody else.
    if (firstParty || !here || !top || here.version === top.version) {
      return outside(notes, args.path, name, "listed", top ?? here, firstParty);
    }
  }
  if (here && (here.native || notes.alsoNative.has(name))) {
    return outside(notes, args.path, name, "native", here, firstParty);
  }
  if (args.path === "appctl") return resolveSdk(build, notes, args);
  return undefined;
}

/** The user's own installed appctl, or that of the running CLI. */
async function resolveSdk(build: PluginBuild, notes: ResolveNotes, args: OnResolveArgs): Promise<OnResolveResult> {
  const { importer, kind, resolveDir } = args;
  const resolution = await build.resolve(args.path, { importer, kind, resolveDir, pluginData: OURS });
  const path = resolution.errors.length > 0 || resolution.external ? notes.sdkFile : resolution.path;
  notes.sdkResolved.add(path);
  return { path };
}

function outside(
  notes: ResolveNotes,
  path: string,
  name: string,
  reason: "listed" | "native",
  installed: InstalledPackage | undefined,
  firstParty: boolean,
): OnResolveResult {
  const known = notes.external.get(name);
  if (!known || beats({ firstParty, installed }, known)) {
    notes.external.set(name, installed ? { reason, installed, firstParty } : { reason, firstParty });
  }
  return { path, external: true };
}

/** Imports arrive in no fixed order, and two copies of a package may be reached: the choice has to be the same always. */
function beats(
  a: { firstParty: boolean; installed: InstalledPackage | undefined },
  b: { firstParty: boolean; installed?: InstalledPackage },
): boolean {
  if (a.firstParty !== b.firstParty) return a.firstParty;
  const order = (a.installed?.version ?? "").localeCompare(b.installed?.version ?? "", "en", { numeric: true });
  return order > 0 || (order === 0 && (a.installed?.dir ?? "") < (b.installed?.dir ?? ""));
}

function resolveAddon(notes: ResolveNotes, args: OnResolveArgs): OnResolveResult | undefined {
  if (args.kind === "entry-point") return undefined;
  const owner = owningPackage(args.importer) ?? owningPackage(dirname(args.path));
  if (!owner) {
    return { errors: [{ text: `a native addon cannot go into the bundle: "${args.path}"`, detail: "native-addon" }] };
  }
  notes.foundNative.add(owner.name);
  return { path: args.path, external: true };
}
