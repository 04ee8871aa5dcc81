import { type ExecFileOptions, execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type AppctlError, isAppctlError } from "../../src/core/errors.ts";
import type { BuildProgress } from "../../src/core/events.ts";
import { atFileEnd } from "../support/file-end.ts";

const execute = promisify(execFile);

/**
 * Runs a program; rejects when it does not exit 0. skopeo looks for credentials below `/run/containers` unless it is told of
 * another place, and takes it for an error when a user may not enter that.
 */
export const run = ((program: string, args: readonly string[], options: ExecFileOptions = {}) => {
  if (program !== "skopeo") return execute(program, args, options);
  return execute(program, args, { ...options, env: { XDG_RUNTIME_DIR: tmpdir(), ...(options.env ?? process.env) } });
}) as typeof execute;

/** A new folder, removed after the test file. */
export async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "appctl-image-"));
  atFileEnd(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The environment for an npm that knows only the test's own configuration, and fails fast. */
export function npmEnv(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    HOME: home,
    npm_config_cache: join(home, "npm-cache"),
    npm_config_fetch_retries: "0",
    ...more,
  };
}

/** What image functions need to know of the world, all of it below `dir`. */
export function contextIn(dir: string, env: NodeJS.ProcessEnv, more: { signal?: AbortSignal } = {}) {
  const progress: BuildProgress[] = [];
  return {
    appDir: dir,
    cacheDir: join(dir, "cache"),
    cwd: dir,
    env,
    signal: more.signal ?? new AbortController().signal,
    onProgress: (event: BuildProgress) => void progress.push(event),
    progress,
  };
}

/** The AppctlError that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<AppctlError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (isAppctlError(error)) return error;
  throw error ?? new Error("nothing was thrown");
}

/** True when `program` is installed; prints why a test is left out when it is not. */
export function installed(program: string): boolean {
  const found = spawnSync(program, ["--version"]).error === undefined;
  if (!found) console.warn(`left out: ${program} is not installed (apt-get install ${program})`);
  return found;
}
