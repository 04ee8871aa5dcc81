/** Finds the local platform of this user, or starts it, detached: the first command that needs it does so. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { endpoints } from "../contract/endpoints.ts";
import type { Health } from "../contract/types.ts";
import { AppctlError, ExitCode, isAppctlError, messageOf } from "../core/errors.ts";
import { rotateLog } from "../core/log-rotation.ts";
import { makeFolder } from "../core/make-folder.ts";
import { builtFile, version } from "../core/package-files.ts";
import { pathsOf } from "../core/paths.ts";
import {
  adminKeyFile,
  type PlatformFile,
  proofOf,
  readPlatformFile,
  SUPERVISOR_PROTOCOL,
  sameProof,
} from "../core/platform-file.ts";
import { Redacted } from "../core/redacted.ts";
import { startTimeOf } from "../core/start-time.ts";
import { writeDurably } from "../core/write-durably.ts";
import { pause } from "../http/retry.ts";
import { Http } from "./platform-http.ts";

/** Longest wait for a platform to end, in milliseconds: its apps may take their grace period. */
const STOP_MS = 60_000;
/** Longest wait for a platform to answer, in milliseconds: after it, a stop goes to the supervisor. */
const PATIENCE_MS = 5_000;

/** How to reach the local platform. */
export interface LocalPlatform {
  endpoint: string;
  apiKey: Redacted<string>;
  file: PlatformFile;
  /** True when this call started it. */
  started: boolean;
}

/** What a platform that is being started tells its parent, once, over the IPC channel. */
export type StartMessage =
  | { type: "ready"; file: PlatformFile }
  | { type: "locked" }
  | {
      type: "failed";
      error: { code: string; message: string; hint?: string | undefined; next: string[]; exit: number };
    };

/** Environment variables that a platform takes over from the command that starts it. None carries a key. */
const KEPT =
  /^(?:HOME|PATH|LANG|LC_.*|TZ|TMPDIR|USER|LOGNAME|SHELL|XDG_.*|APPCTL_(?!API_KEY).*|DOCKER_.*|SSL_CERT_.*)$/;

/** The local platform that runs now, or undefined. Another program on the same port is not taken for it. */
export async function findLocalPlatform(env: NodeJS.ProcessEnv): Promise<LocalPlatform | undefined> {
  const { state } = pathsOf(env);
  const file = readPlatformFile(state);
  if (!file) return undefined;
  const http = new Http({ endpoint: file.address, retries: 0 });
  try {
    const nonce = randomBytes(16).toString("hex");
    const health = await http.json<Health>({ method: "GET", path: "/api/v1/health", query: { nonce }, timeout: 5000 });
    if (!health.proof || !sameProof(health.proof, proofOf(file.proofKey, nonce))) return undefined;
    const apiKey = new Redacted(readFileSync(adminKeyFile(state), "utf8").trim());
    return { endpoint: file.address, apiKey, file, started: false };
  } catch (error) {
    // Nobody listens there, or not our platform, or its key is gone: all mean that it has to be started.
    const code = (error as NodeJS.ErrnoException).code;
    if (isAppctlError(error) || error instanceof SyntaxError || code === "ENOENT") return undefined;
    throw error;
  } finally {
    await http.close();
  }
}

/**
 * Stops the local platform with everything of it, also one that ends again and again and answers nobody. Gives the process id of the
 * platform, or of the supervisor where there is no platform; undefined when none runs.
 */
export async function stopEverything(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number | undefined> {
  let platform: LocalPlatform | undefined;
  try {
    platform = await awaitLocalPlatform(env, PATIENCE_MS);
  } catch (error) {
    if (!isAppctlError(error) || error.code !== "PLATFORM_STUCK") throw error;
    const supervisor = readPlatformFile(pathsOf(env).state)?.supervisor;
    if (!supervisor || !isSame(supervisor)) return undefined;
    process.kill(supervisor.pid, "SIGTERM");
    const deadline = performance.now() + STOP_MS;
    for (; isSame(supervisor); await pause(25, signal)) {
      if (performance.now() > deadline) process.kill(supervisor.pid, "SIGKILL");
    }
    return supervisor.pid;
  }
  if (platform) await stopLocalPlatform(platform, signal);
  return platform?.file.pid;
}

/** The local platform. One that its supervisor is just starting again is waited for; undefined when none runs. */
export async function awaitLocalPlatform(
  env: NodeJS.ProcessEnv,
  longestMs = 30_000,
): Promise<LocalPlatform | undefined> {
  const deadline = performance.now() + longestMs;
  for (;;) {
    const found = await findLocalPlatform(env);
    if (found || !supervisorRuns(env)) return found;
    await waitForPlatform(deadline);
  }
}

/** Finds the local platform or starts it on `port`; two callers at once start one. */
export async function ensureLocalPlatform(env: NodeJS.ProcessEnv, port: number): Promise<LocalPlatform> {
  const deadline = performance.now() + 30_000;
  let started = false;
  for (;;) {
    const found = await findLocalPlatform(env);
    if (found) return { ...found, started };
    if (supervisorRuns(env)) {
      // It starts the platform again.
      await waitForPlatform(deadline);
      continue;
    }
    const outcome = await startPlatform(env, ["--port", String(port)]);
    if (outcome.type === "failed") throw new AppctlError({ ...outcome.error, exit: outcome.error.exit as ExitCode });
    if (outcome.type === "ready") {
      started = true;
      continue;
    }
    // Locked: another command is starting it, or it is just going down. Either ends soon.
    await waitForPlatform(deadline);
  }
}

/** Waits a moment; throws PLATFORM_STUCK when `deadline` is over. */
async function waitForPlatform(deadline: number): Promise<void> {
  if (performance.now() > deadline) {
    throw new AppctlError({
      code: "PLATFORM_STUCK",
      exit: ExitCode.unavailable,
      message: "another process uses the state of the local platform but does not answer",
      next: ["appctl platform logs", "appctl platform status"],
    });
  }
  await pause(50);
}

/** True while the supervisor of this user's local platform runs. */
function supervisorRuns(env: NodeJS.ProcessEnv): boolean {
  const supervisor = readPlatformFile(pathsOf(env).state)?.supervisor;
  return supervisor !== undefined && isSame(supervisor);
}

function isSame({ pid, startTime }: { pid: number; startTime: number }): boolean {
  return startTimeOf(pid) === startTime;
}

/** Ends a local platform gracefully, and waits until it is gone. Its apps start again with it. */
export async function stopLocalPlatform(
  { endpoint, apiKey, file }: LocalPlatform,
  signal?: AbortSignal,
): Promise<void> {
  const http = new Http({ endpoint, apiKey });
  try {
    await http.json({ ...endpoints.stopPlatform, signal, repeatable: true });
  } catch (error) {
    // One that is gone without an answer is what was asked for; one that listens no more is on its way.
    const leaves = isAppctlError(error) && error.code === "PLATFORM_UNREACHABLE";
    if (isAlive(file.pid) && !leaves) throw error;
  } finally {
    await http.close();
  }
  const deadline = performance.now() + STOP_MS;
  while (isAlive(file.pid) || (file.supervisor && isSame(file.supervisor))) {
    if (performance.now() > deadline) {
      throw new AppctlError({
        code: "PLATFORM_STUCK",
        exit: ExitCode.unavailable,
        message: `the local platform (pid ${file.pid}) did not stop in time`,
        next: ["appctl platform logs"],
      });
    }
    await pause(25, signal);
  }
}

/** True for a platform that other machines reach: it is somebody's server, and no other command's to replace. */
export function servesOthers({ args }: PlatformFile): boolean {
  const host = args?.[args.indexOf("--host") + 1];
  return !(host === "localhost" || host === "127.0.0.1" || host === "::1");
}

/**
 * Starts a local platform of an older appctl again as one of this version, as it was set up. One that listens to other
 * machines is somebody's server, and is left alone, as is one whose set-up is not known: undefined.
 */
export async function renewLocalPlatform(
  env: NodeJS.ProcessEnv,
  old: LocalPlatform,
  signal?: AbortSignal,
): Promise<LocalPlatform | undefined> {
  const { args } = old.file;
  if (!args || servesOthers(old.file)) return undefined;
  const { masterKeyFile } = old.file;
  if (masterKeyFile === undefined) return undefined;
  await stopLocalPlatform(old, signal);
  // Its own place of the master key, not the one that this shell may name.
  const outcome = await startPlatform({ ...env, APPCTL_MASTER_KEY_FILE: masterKeyFile ?? undefined }, args);
  if (outcome.type === "failed") throw new AppctlError({ ...outcome.error, exit: outcome.error.exit as ExitCode });
  // Locked: another command was faster.
  return ensureLocalPlatform(env, Number(new URL(old.endpoint).port));
}

/**
 * Lets a platform of this version take the place of the one that runs, below the same supervisor: its apps go on. Undefined when
 * there is no supervisor that this version understands.
 */
export async function upgradeLocalPlatform(
  env: NodeJS.ProcessEnv,
  old: LocalPlatform,
  signal?: AbortSignal,
): Promise<LocalPlatform | undefined> {
  const { supervisor, pid } = old.file;
  if (!supervisor || supervisor.protocol !== SUPERVISOR_PROTOCOL || !isSame(supervisor)) return undefined;
  const { state } = pathsOf(env);
  writeDurably(join(state, "upgrade.json"), JSON.stringify({ program: builtFile("main.js") }));
  process.kill(supervisor.pid, "SIGHUP");
  const deadline = performance.now() + STOP_MS;
  for (;;) {
    await pause(25, signal);
    const found = await findLocalPlatform(env);
    if (found && found.file.pid !== pid) {
      if (found.file.version === version()) return { ...found, started: false };
      throw new AppctlError({
        code: "UPGRADE_FAILED",
        exit: ExitCode.unavailable,
        message: `appctl ${version()} did not start; the local platform is appctl ${found.file.version} again`,
        next: ["appctl platform logs"],
      });
    }
    if (performance.now() > deadline) {
      throw new AppctlError({
        code: "PLATFORM_STUCK",
        exit: ExitCode.unavailable,
        message: `the local platform (pid ${pid}) was not replaced in time`,
        next: ["appctl platform logs"],
      });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's; else it is gone
  }
}

/**
 * Starts a detached platform process and waits until it says how that went. `system` is the operating system, as in
 * `process.platform`; throws PLATFORM_NEEDS_LINUX on any other than Linux.
 */
export async function startPlatform(
  env: NodeJS.ProcessEnv,
  args: string[],
  system: string = process.platform,
): Promise<StartMessage> {
  if (system !== "linux") {
    throw new AppctlError({
      code: "PLATFORM_NEEDS_LINUX",
      exit: ExitCode.usage,
      message: `the local platform runs on Linux only, and this machine runs ${system}`,
      hint: "appctl builds images here and deploys to a platform on another machine: set APPCTL_API_KEY to a key of it",
      next: ["appctl build FILE --registry ghcr.io/my-org --push"],
    });
  }
  const state = makeFolder(pathsOf(env).state, "XDG_STATE_HOME");
  let log: number;
  try {
    rotateLog(join(state, "platform.log"));
    log = openSync(join(state, "platform.log"), "a", 0o600);
  } catch (cause) {
    throw new AppctlError({
      code: "STATE_NOT_WRITABLE",
      exit: ExitCode.unavailable,
      message: `the state directory ${state} cannot be written: ${messageOf(cause)}`,
      hint: "set XDG_STATE_HOME to a directory of yours",
      cause,
    });
  }
  const childEnv = Object.fromEntries(Object.entries(env).filter(([name]) => KEPT.test(name)));
  const child = spawn(
    process.execPath,
    [builtFile("supervisor.js"), join(state, "upgrade.json"), builtFile("main.js"), "platform", "run", ...args],
    {
      cwd: "/",
      env: childEnv,
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
    },
  );
  closeSync(log);
  try {
    return await new Promise<StartMessage>((resolve, reject) => {
      child.once("message", (message) => resolve(message as StartMessage));
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        reject(
          new AppctlError({
            code: "PLATFORM_DIED",
            exit: ExitCode.unavailable,
            message: `the local platform ended while it started (${signal ?? `exit code ${code}`})`,
            next: ["appctl platform logs"],
          }),
        ),
      );
    });
  } finally {
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}
