import { Buffer } from "node:buffer";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The name that the SDK has in every source map, wherever it was loaded from. */
export const SDK_SOURCE = "appctl/sdk.js";

/**
 * Rewrites the `sources` of a source map (revision 3) so that they are the same in every directory: first-party files
 * relative to the entry's directory, packages from `node_modules/` on, the SDK under one name.
 * `root` is the entry's directory, `from` the one to which esbuild's paths are relative.
 */
export function portableMap(json: string, root: string, sdkFiles: ReadonlySet<string>, from = root): Uint8Array {
  const map: { sources: string[]; sourceRoot?: string; sourcesContent?: unknown } = JSON.parse(json);
  map.sources = map.sources.map((source) => portableSource(relativeTo(source, root, from), root, sdkFiles));
  delete map.sourceRoot;
  delete map.sourcesContent;
  return Buffer.from(JSON.stringify(map));
}

/** The source of a map that lies in `from`, as a map in `root` has it. Absolute paths and URLs stay. */
function relativeTo(source: string, root: string, from: string): string {
  return root === from || source.startsWith("/") || URL.canParse(source)
    ? source
    : relative(root, resolve(from, source));
}

function portableSource(source: string, root: string, sdkFiles: ReadonlySet<string>): string {
  const path = source.startsWith("file://") ? fileURLToPath(source) : source;
  if (sdkFiles.has(resolve(root, path))) return SDK_SOURCE;
  const at = path.lastIndexOf("node_modules/");
  if (at >= 0) return path.slice(at);
  // A package's own map may name the machine that built it; only the file's name says something to anybody.
  return path.startsWith("/") ? path.slice(path.lastIndexOf("/") + 1) : path;
}
