/**
 * Bundling that begins before the command is understood. esbuild's program takes as long as Node takes to load a command, so
 * both go on at once: whether the bundle is the wanted one is seen when there is one, and if not, it is made in the usual way.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, realpathSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Metafile } from "esbuild";
import { makeSystemWorkDir } from "../core/work-dir.ts";
import { BUNDLE_FILE, BUNDLE_OPTIONS, esbuildProgram, programArguments, requireEsbuild } from "./esbuild.ts";

/** What esbuild has made of a file, without a word to say about it. */
export interface EarlyOutput {
  code: Uint8Array;
  map: string;
  /** Directory (real path) that the map's sources are relative to. */
  mapDir: string;
  metafile: Metafile;
}

/** A bundling under way. */
export interface EarlyBundle {
  /**
   * What came of it, when it is that of the file `entry` in the working directory `cwd`, both real paths; undefined for another
   * file, and when esbuild had anything to say. Can be taken once. Never rejects.
   */
  take(entry: string, cwd: string): Promise<EarlyOutput | undefined>;
}

/** What {@link startBundle} needs to know. */
export interface EarlyBundleOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** A folder with a package `appctl`: the SDK of the running CLI, for who has none installed. */
  sdkModules: string;
}

/**
 * Begins to bundle `file`. What may have packages outside of the bundle is left to esbuild's service, which is started for it.
 * Undefined when there is nothing to take.
 */
export function startBundle(file: string, options: EarlyBundleOptions): EarlyBundle | undefined {
  try {
    const entry = realpathSync(resolve(options.cwd, file));
    // The program takes the text before a "=" for the name of the output.
    const program = entry.includes("=") || mayListPackages(entry) ? undefined : esbuildProgram();
    if (program !== undefined) return run(program, entry, options);
    void requireEsbuild()
      .initialize({})
      .catch(() => undefined);
  } catch {
    // the usual bundling of the file reports it
  }
  return undefined;
}

/** A guess, which costs nothing but time when it is wrong: `ImageSpec.packages` and `requirements` stand in the file itself. */
function mayListPackages(entry: string): boolean {
  return /\b(?:packages|requirements|withPackages|withRequirements)\b/.test(readFileSync(entry, "utf8"));
}

function run(program: string, entry: string, { cwd: given, env, sdkModules }: EarlyBundleOptions): EarlyBundle {
  const cwd = realpathSync(given);
  const dir = makeSystemWorkDir("bundle");
  const metafile = join(dir, "meta.json");
  const places = [`--outfile=${join(dir, BUNDLE_FILE)}`, `--metafile=${metafile}`, "--log-level=warning"];
  let child: ChildProcess | undefined;
  const end = () => {
    child?.kill("SIGKILL");
    try {
      rmSync(dir, { recursive: true, force: true, maxRetries: 3, retryDelay: 10 });
    } catch {
      // in a folder for such; nobody looks into it again
    }
  };
  try {
    child = spawn(program, [entry, ...programArguments(BUNDLE_OPTIONS), ...places], {
      cwd,
      // esbuild looks there for what is installed nowhere; and it believes PWD, which may lead through links.
      env: { ...env, NODE_PATH: sdkModules, PWD: cwd },
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    end();
    throw error;
  }
  process.once("exit", end);
  const silent = endedInSilence(child);
  return {
    async take(wanted, wantedCwd) {
      try {
        if (wanted !== entry || wantedCwd !== cwd || !(await silent)) return undefined;
        // Without a pause: the thread that is to describe it waits.
        const code = readFileSync(join(dir, BUNDLE_FILE));
        const map = readFileSync(join(dir, `${BUNDLE_FILE}.map`), "utf8");
        return { code, map, mapDir: dir, metafile: JSON.parse(readFileSync(metafile, "utf8")) };
      } catch {
        return undefined; // the folder is gone or full: there is another way
      } finally {
        process.off("exit", end);
        end();
      }
    },
  };
}

/** Whether it ended well and wrote nothing. */
function endedInSilence(child: ChildProcess): Promise<boolean> {
  let isSilent = true;
  child.stderr?.on("data", () => {
    isSilent = false;
  });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", (code) => resolve(code === 0 && isSilent));
  });
}
