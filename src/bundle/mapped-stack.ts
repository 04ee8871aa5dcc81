import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { SourceLocation } from "../core/errors.ts";
import { displayPath } from "./display-path.ts";
import { SDK_SOURCE } from "./source-map.ts";

/** A stack trace in terms of the user's files. */
export interface MappedStack {
  /** Its frames, innermost first, each as `at name (file:line:column)`. */
  frames: string[];
  /** The innermost frame in the user's own code, when the stack has one. */
  location?: SourceLocation;
}

/** What {@link mapStack} needs. `bundleFile` is where the code lay when it threw; the rest is absolute. */
export interface StackContext {
  map: Uint8Array;
  /** Directory that the map's sources are relative to. */
  root: string;
  bundleFile: string;
  cwd: string;
}

const MAX_FRAMES = 12;

/** Maps the frames of `stack` (V8's format) through the bundle's source map; frames of Node itself are left out. */
export async function mapStack(stack: string, { map, root, bundleFile, cwd }: StackContext): Promise<MappedStack> {
  const { TraceMap, originalPositionFor } = await import("@jridgewell/trace-mapping");
  const trace = new TraceMap(JSON.parse(new TextDecoder().decode(map)));
  let location: SourceLocation | undefined;
  const original = (line: number, column: number): string => {
    const found = originalPositionFor(trace, { line, column: column - 1 });
    if (found.source === null) return `app.mjs:${line}:${column}`;
    const { source } = found;
    const foreign = source === SDK_SOURCE || source.startsWith("node_modules/");
    const file = foreign ? source : displayPath(join(root, source), cwd);
    if (!foreign) location ??= locate(join(root, source), file, found.line, found.column + 1);
    return `${file}:${found.line}:${found.column + 1}`;
  };
  const places = new RegExp(
    `(?:${[pathToFileURL(bundleFile).href, bundleFile].map(quote).join("|")}):(\\d+):(\\d+)`,
    "g",
  );
  const frames = stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !/\(?(?:node:|<anonymous>\)?$)/.test(line))
    .filter((line) => !line.includes("describe-worker"))
    .slice(0, MAX_FRAMES)
    .map((line) =>
      line.trim().replace(places, (_, row: string, column: string) => original(Number(row), Number(column))),
    );
  return location ? { frames, location } : { frames };
}

/** A place in a file, with the text of the line when it can still be read. */
export function locate(path: string, file: string, line: number, column: number): SourceLocation {
  try {
    const lineText = readFileSync(path, "utf8").split(/\r?\n/)[line - 1];
    return lineText === undefined ? { file, line, column } : { file, line, column, lineText };
  } catch {
    return { file, line, column }; // the place is worth telling even when its file is gone
  }
}

function quote(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
