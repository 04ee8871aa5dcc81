/**
 * A process that does one task for the platform and ends: packing takes a processor for seconds, which requests to apps do not
 * have to wait for. When the platform ends, in whatever way, or wants no more of it, the channel closes, and so do npm and this.
 */
import { ExitCode } from "../../core/errors.ts";
import { type BuildPlace, doTask } from "./do-task.ts";
import { type BuildTask, brokenOff, type TaskEvent } from "./task.ts";

/** What the platform sends, once. */
export interface WorkerOrder {
  task: BuildTask;
  imagesDir: string;
  cacheDir: string;
}

const stop = new AbortController();
process.on("disconnect", () => stop.abort(new Error("the platform wants no more of it")));
// Who sends it to a whole group means the platform, which closes the channel gracefully.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);

const send = (event: TaskEvent): void => {
  // Gone while it was sent is gone.
  if (process.connected) process.send?.(event, undefined, undefined, () => undefined);
};

process.once("message", ({ task, imagesDir, cacheDir }: WorkerOrder) => {
  const place: BuildPlace = {
    imagesDir,
    cacheDir,
    env: process.env,
    cwd: process.cwd(),
    signal: stop.signal,
    onProgress: (step) => send({ type: "progress", ...step }),
  };
  doTask(task, place)
    .catch((error: unknown) => {
      if (stop.signal.aborted) return undefined;
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      return brokenOff("the platform failed to build the image", ExitCode.bug);
    })
    .then((event) => {
      if (event && process.connected) process.send?.(event, () => process.disconnect());
    });
});
