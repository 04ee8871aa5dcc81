/** Whether what esbuild's program made of a file is what its service, with our plugin, would have made: seen in its metafile. */
import { isBuiltin } from "node:module";
import { dirname, resolve } from "node:path";
import type { Metafile } from "esbuild";
import { packageNameOf } from "../packages/package-spec.ts";

/** What esbuild's own helpers stand under in a metafile. */
const ESBUILD_RUNTIME = "<runtime>";

/** The one output that has an entry: the bundle. */
export function outputOf({ outputs }: Metafile): Metafile["outputs"][string] | undefined {
  return Object.values(outputs).find(({ entryPoint }) => entryPoint !== undefined);
}

/** What {@link sdkOfSame} needs to know. */
export interface Wanted {
  /** Real path of the user's file. */
  entry: string;
  cwd: string;
  /** Whether a package that a file in `fromDir` imports has to stay outside. */
  isOutside(name: string, fromDir: string): boolean;
}

/** The files that the SDK is in that bundle; undefined when the service might have made another one. */
export function sdkOfSame(metafile: Metafile, { entry, cwd, isOutside }: Wanted): Set<string> | undefined {
  const { entryPoint = "" } = outputOf(metafile) ?? {};
  if (resolve(cwd, entryPoint) !== entry || loadsSdkLater(metafile)) return undefined;
  const sdk = new Set<string>();
  for (const [importer, { imports }] of Object.entries(metafile.inputs)) {
    for (const { original = "", path, external = false } of imports) {
      // What was not found, and need not be, is for the plugin to decide.
      if (external && path !== ESBUILD_RUNTIME && !isBuiltin(path)) return undefined;
      // As the plugin does with each bare import.
      const name = external ? undefined : packageNameOf(original);
      if (name === undefined) continue;
      if (original === "appctl") sdk.add(resolve(cwd, path));
      if (isOutside(name, dirname(resolve(cwd, importer)))) return undefined;
    }
  }
  return sdk;
}

/**
 * Whether the SDK is loaded when it is needed, by `require` or `import()`, or something that has it. esbuild then puts a word
 * before it or not, which depends on how its file was found.
 */
function loadsSdkLater({ inputs }: Metafile): boolean {
  const all = Object.values(inputs).flatMap(({ imports }) => imports);
  const sdk = new Set(all.filter(({ original }) => original === "appctl").map(({ path }) => path));
  const waiting = all.filter(({ kind }) => kind !== "import-statement").map(({ path }) => path);
  const seen = new Set<string>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (sdk.has(path)) return true;
    if (seen.has(path)) continue;
    seen.add(path);
    waiting.push(...(inputs[path]?.imports ?? []).map((each) => each.path));
  }
  return false;
}

/** Whether a map has names that esbuild writes in another way, as it does with those that no URL has: they differ by folder. */
export function hasEscapes(map: string): boolean {
  const { sources }: { sources: string[] } = JSON.parse(map);
  return sources.some((source) => source.includes("%") && !URL.canParse(source));
}
