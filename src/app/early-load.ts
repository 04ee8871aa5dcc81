/** What loading a file can begin with before the command is understood that names it. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { type EarlyBundle, type EarlyBundleOptions, startBundle } from "../bundle/early-bundle.ts";
import { type Describer, startDescriber } from "./describe.ts";

/** A load under way: esbuild's program and the thread that will describe what it makes, each of which takes its time to start. */
export interface EarlyLoad {
  bundle: EarlyBundle | undefined;
  describer: Describer;
}

/** What {@link startLoading} needs to know. */
export interface EarlyLoadOptions extends EarlyBundleOptions {
  /** The built worker: `builtFile("describe-worker.js")`. */
  workerFile: string;
}

/** Begins to load the file of a command line; undefined for a command that loads none. Throws when no thread can be started. */
export function startLoading(args: readonly string[], options: EarlyLoadOptions): EarlyLoad | undefined {
  const file = fileToLoad(args, options.cwd);
  if (file === undefined) return undefined;
  const bundle = startBundle(file, options);
  return { bundle, describer: startDescriber(options.workerFile, options.env) };
}

const SOURCE_FILE = /\.[cm]?[jt]sx?$/;

/**
 * The file that a command line will load, as far as that is known: the first that exists after `deploy` or `build`.
 * Undefined for a command that loads nothing.
 */
export function fileToLoad(args: readonly string[], cwd: string): string | undefined {
  if (args[0] === "help" || args.includes("--help") || args.includes("-h")) return undefined;
  const command = args.findIndex((arg) => arg === "build" || arg === "deploy");
  if (command < 0) return undefined;
  return args.slice(command + 1).find((arg) => !arg.startsWith("-") && isSourceFile(resolve(cwd, arg)));
}

function isSourceFile(path: string): boolean {
  try {
    return SOURCE_FILE.test(path) && statSync(path).isFile();
  } catch {
    return false; // there is none, or it is unreadable: the load itself says why
  }
}
