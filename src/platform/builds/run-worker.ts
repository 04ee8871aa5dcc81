import { spawn } from "node:child_process";
import { builtFile } from "../../core/assets.ts";
import type { WorkerOrder } from "./build-worker.ts";
import { brokenOff, type FinalEvent, type TaskEvent } from "./task.ts";

/** How long a worker may take to end npm and to clear up after an abort, in milliseconds. */
const GRACE_MS = 10_000;

/** What {@link runWorker} needs beside its order. */
export interface WorkerOptions {
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  onEvent(event: TaskEvent): void;
}

/**
 * Has a process of its own do a task; gives the last line of the answer once that process has ended. Throws the signal's
 * reason after an abort.
 */
export async function runWorker(order: WorkerOrder, { env, signal, onEvent }: WorkerOptions): Promise<FinalEvent> {
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
  signal.addEventListener("abort", stop, { once: true });
  try {
    const ended = new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, by) => resolve(by ?? `exit code ${code}`));
    });
    child.on("message", (event: TaskEvent) => {
      if (event.type === "progress") onEvent(event);
      else last = event;
    });
    // One that has died has ended, which is told below; one that no file handle was left for has no channel.
    child.send?.(order, () => undefined);
    const how = await ended;
    signal.throwIfAborted();
    return last ?? brokenOff(`the process that builds the image ended before it was done (${how})`);
  } finally {
    clearTimeout(killer);
    signal.removeEventListener("abort", stop);
  }
}
