import { spawn } from "node:child_process";
import { builtFile } from "../../core/package-files.ts";
import type { WorkerOrder } from "./build-worker.ts";
import { brokenOff, type FinalEvent, type TaskEvent } from "./task.ts";

/** How long a worker may take to end npm and to clear up after an abort, in milliseconds. */
const GRACE_MS = 10_000;

/** No build takes so long, in milliseconds: one that hangs would keep the others waiting. */
const LONGEST_MS = 60 * 60_000;

/** What {@link runWorker} needs in addition to its order. */
export interface WorkerOptions {
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Default: an hour. */
  longestMs?: number;
  onEvent(event: TaskEvent): void;
}

/**
 * Has a process of its own do a task; gives the last line of the answer once that process has ended. Throws the signal's
 * reason after an abort.
 */
export async function runWorker(order: WorkerOrder, options: WorkerOptions): Promise<FinalEvent> {
  const { env, signal, longestMs = LONGEST_MS, onEvent } = options;
  signal.throwIfAborted();
  const child = spawn(process.execPath, ["--disable-sigusr1", builtFile("build-worker.js")], {
    env,
    // Signals to the platform's group are for the platform.
    detached: true,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  let last: FinalEvent | undefined;
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    if (child.connected) child.disconnect();
    killer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  };
  const over = AbortSignal.timeout(longestMs);
  const either = AbortSignal.any([signal, over]);
  either.addEventListener("abort", stop, { once: true });
  try {
    const ended = new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, by) => resolve(by ?? `exit code ${code}`));
    });
    child.on("message", (event: TaskEvent) => {
      if (event.type === "progress") onEvent(event);
      else last = event;
    });
    // The code below reports a worker that has died. A worker without a free file handle has no channel.
    child.send?.(order, () => undefined);
    const how = await ended;
    signal.throwIfAborted();
    if (last) return last;
    if (over.aborted) return brokenOff(`the build took longer than ${Math.round(longestMs / 60_000)} minutes`);
    return brokenOff(`the build process ended early (${how})`);
  } finally {
    clearTimeout(killer);
    either.removeEventListener("abort", stop);
  }
}
