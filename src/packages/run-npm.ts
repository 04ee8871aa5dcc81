import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { AppctlError, ExitCode } from "../core/errors.ts";
import { FIXED_FLAGS } from "./npm-config.ts";

/** One run of npm. `cwd` is a folder of ours with a package.json. */
export interface NpmRun {
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Run the packages' install scripts. */
  scripts?: boolean;
  /** Each line that npm writes to stderr, as it comes. */
  onLine?: (line: string) => void;
}

/** How a run of npm ended. `code` is 0 for success; `error` is npm's own, with codes such as E404. */
export interface NpmResult {
  code: number;
  stdout: string;
  /** The last lines of stderr. */
  lines: string[];
  error: { code: string; summary: string; detail: string } | undefined;
}

const KEPT_LINES = 200;
/** How long npm gets to stop after SIGTERM. */
const GRACE_MS = 2000;

/**
 * Runs npm without a shell, in a process group of its own, so that an abort also ends what npm started. Throws NPM_MISSING,
 * or the signal's reason after an abort, once every process has ended.
 */
export async function runNpm(run: NpmRun): Promise<NpmResult> {
  run.signal.throwIfAborted();
  const npm = await findNpm(run.env);
  const child = spawn(npm, [...run.args, ...FIXED_FLAGS, `--ignore-scripts=${!run.scripts}`], {
    cwd: run.cwd,
    // With the Node that it was installed with: npm derives the place of its global configuration from that.
    env: { ...run.env, PATH: [dirname(npm), run.env["PATH"]].join(delimiter), PWD: run.cwd },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    signalGroup(child, "SIGTERM");
    killer = setTimeout(() => signalGroup(child, "SIGKILL"), GRACE_MS);
  };
  run.signal.addEventListener("abort", stop, { once: true });
  try {
    const ended = new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      // "close" comes after the last line of both outputs.
      child.once("close", (status) => resolve(status ?? -1));
    });
    // One that could not be started, as for want of a file handle, has no outputs.
    if (child.pid === undefined) await ended;
    const stdout: string[] = [];
    const lines: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => stdout.push(chunk));
    const reader = createInterface({ input: child.stderr });
    reader.on("line", (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      run.onLine?.(line);
    });
    const code = await ended;
    run.signal.throwIfAborted();
    const text = stdout.join("");
    return { code, stdout: text, lines, error: code === 0 ? undefined : npmError(text) };
  } finally {
    clearTimeout(killer);
    run.signal.removeEventListener("abort", stop);
  }
}

function npmError(stdout: string): NpmResult["error"] {
  try {
    const { error } = JSON.parse(stdout.slice(stdout.indexOf("{")));
    if (typeof error?.code !== "string") return undefined;
    return { code: error.code, summary: String(error.summary ?? ""), detail: String(error.detail ?? "") };
  } catch {
    return undefined; // npm died before it could say why; its lines have to do
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The whole group has ended in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The npm that a shell would start. Throws NPM_MISSING. */
export async function findNpm(env: NodeJS.ProcessEnv): Promise<string> {
  const npm = await findExecutable("npm", pathOf(env));
  if (npm !== undefined) return npm;
  throw new AppctlError({
    code: "NPM_MISSING",
    exit: ExitCode.build,
    message: "the image lists packages, and there is no npm on the PATH to install them",
    hint: "npm comes with Node.js; or take the packages out of the image: what a file imports is bundled without npm",
    next: ["npm --version"],
  });
}

/** The folders of `PATH`. */
export function pathOf(env: NodeJS.ProcessEnv): string[] {
  return (env["PATH"] ?? "").split(delimiter);
}

/** The first executable `name` of these folders. An empty one is passed over, not the working directory. */
export async function findExecutable(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders.filter((folder) => folder !== "")) {
    const file = join(folder, name);
    const failure = await access(file, constants.X_OK).catch((error: unknown) => error);
    if (failure === undefined) return file; // else the next folder may have it
  }
  return undefined;
}
