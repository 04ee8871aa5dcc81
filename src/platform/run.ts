import { join } from "node:path";
import type { StartMessage } from "../client/local-platform.ts";
import { bootId } from "../core/boot-id.ts";
import type { RuntimeName } from "../core/config.ts";
import { AppctlError, ExitCode, isAppctlError, messageOf } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.ts";
import { version } from "../core/package-files.ts";
import { pathsOf } from "../core/paths.ts";
import { writePlatformFile } from "../core/platform-file.ts";
import { createLocalEngine } from "../engine/local/local-engine.ts";
import type { RemoteHost, SupervisorFacts } from "../supervisor/remote-host.ts";
import { ReplicaKeeper } from "../supervisor/replica-keeper.ts";
import { createPlatform } from "./create-platform.ts";
import { createRuntime } from "./create-runtime.ts";
import { contentDirs, removeLeftovers } from "./leftovers.ts";
import { tryLock } from "./process-lock.ts";

export { RemoteHost } from "../supervisor/remote-host.ts";
export { resetFolders, resetPlatform } from "./reset.ts";

/** How `appctl platform run` was called. */
export interface RunOptions {
  port: number;
  host: string;
  baseDomain: string | undefined;
  url: string | undefined;
  runtime: RuntimeName;
  /** Number of gateway processes, below a supervisor. */
  gatewayWorkers?: number;
  env: NodeJS.ProcessEnv;
  /** The supervisor that the platform runs below: it holds the replicas. Without one they end with the platform. */
  above?: { host: RemoteHost; facts: SupervisorFacts } | undefined;
  /** Aborts to stop the platform gracefully. */
  signal: AbortSignal;
  /** Reports the result of the start to the parent process, once. */
  notify?: ((message: StartMessage) => void) | undefined;
  report(message: string): void;
}

/**
 * Runs the local platform of this user until `signal` aborts or the API is asked to stop it. One runs for a state
 * directory: a second one says so (`locked`) and returns.
 */
export async function runPlatform(options: RunOptions): Promise<void> {
  const { notify, report, env, above } = options;
  const paths = pathsOf(env);
  try {
    makeFolder(paths.state, "XDG_STATE_HOME");
    const lock = tryLock(join(paths.state, "platform.lock"));
    if (!lock) {
      if (notify) return notify({ type: "locked" });
      throw new AppctlError({
        code: "PLATFORM_RUNNING",
        exit: ExitCode.conflict,
        message: `another platform uses the state directory ${paths.state}`,
        next: ["appctl platform status", "appctl platform stop"],
      });
    }
    removeLeftovers(paths, bootId());
    const stopped = Promise.withResolvers<"stop" | "handOver">();
    if (above) above.host.onHandOver = () => stopped.resolve("handOver");
    options.signal.addEventListener("abort", () => stopped.resolve("stop"), { once: true });
    const platform = await createPlatform({
      stateDir: paths.state,
      host: options.host,
      port: options.port,
      url: options.url,
      appsDomain: options.baseDomain,
      masterKeyFile: env["APPCTL_MASTER_KEY_FILE"],
      env,
      now: () => new Date(),
      report,
      onStop: () => stopped.resolve("stop"),
      above: above && { ...above, runtimeDir: paths.runtime, workers: options.gatewayWorkers ?? 1 },
      contentDirs: () => contentDirs(paths),
      engine: async ({ stateDir, images, readSecret }) =>
        createLocalEngine(
          { stateDir, log: report },
          await createRuntime(options.runtime, {
            ...{ paths, stateDir, images, readSecret, env },
            ...{ host: above?.host ?? new ReplicaKeeper(), notes: above?.host, log: report },
          }),
        ),
    });
    const file = {
      pid: process.pid,
      url: platform.url,
      address: platform.address,
      version: version(),
      args: argumentsOf(options),
      masterKeyFile: env["APPCTL_MASTER_KEY_FILE"] || null,
      startedAt: new Date().toISOString(),
      proofKey: platform.proofKey,
      ...(above ? { supervisor: supervisorOf(above.facts) } : {}),
    };
    writePlatformFile(paths.state, file);
    report(`appctl ${file.version} listens on ${options.host}:${platform.port}, pid ${process.pid}`);
    notify?.({ type: "ready", file });
    if (options.signal.aborted) stopped.resolve("stop");
    if ((await stopped.promise) === "handOver") {
      report("handing over");
      await platform.handOver();
      lock.release();
      return;
    }
    report("stopping");
    await above?.host.stopping();
    await platform.close();
    report("stopped");
    lock.release();
  } catch (error) {
    report(error instanceof Error ? (error.stack ?? error.message) : String(error));
    if (!notify) throw error;
    notify({ type: "failed", error: describe(error) });
  }
}

function supervisorOf({ pid, startTime, protocol }: SupervisorFacts) {
  return { pid, startTime, protocol };
}

function argumentsOf({ port, host, baseDomain, url, runtime, gatewayWorkers = 1 }: RunOptions): string[] {
  return [
    ...["--port", String(port), "--host", host],
    ...(baseDomain === undefined ? [] : ["--base-domain", baseDomain]),
    ...(url === undefined ? [] : ["--url", url]),
    ...["--runtime", runtime],
    ...(gatewayWorkers === 1 ? [] : ["--gateway-workers", String(gatewayWorkers)]),
  ];
}

function describe(error: unknown): Extract<StartMessage, { type: "failed" }>["error"] {
  if (isAppctlError(error)) {
    const { code, message, hint, next, exit } = error;
    return { code, message, hint, next, exit };
  }
  return {
    code: "PLATFORM_FAILED",
    message: `the local platform could not start: ${messageOf(error)}`,
    next: ["appctl platform logs"],
    exit: ExitCode.unavailable,
  };
}
