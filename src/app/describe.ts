import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { messageOf } from "../core/errors.ts";
import type { RawError, RawFile, WorkerMessage, WorkerRequest } from "./description.ts";

/** How a description ended. `output` is what the file printed meanwhile, its last lines. */
export type Outcome =
  | { type: "described"; file: RawFile }
  | { type: "threw"; error: RawError; output: string[] }
  | { type: "exited"; code: number; frames: string[]; output: string[] }
  | { type: "unsettled"; output: string[] }
  | { type: "timeout"; busy: boolean; output: string[] };

/** What the described file may see of the caller's environment: enough for a program to start, nothing that is secret. */
const PASSED = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE"];
const MAX_OUTPUT_LINES = 20;

/** The environment in which a file is described: {@link PASSED} and `LC_*` of `env`, and `APPCTL_DESCRIBE=1`. */
export function describeEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const passed = Object.entries(env).filter(([name]) => PASSED.includes(name) || name.startsWith("LC_"));
  return { ...Object.fromEntries(passed.map(([name, value]) => [name, value ?? ""])), APPCTL_DESCRIBE: "1" };
}

/** A started thread that describes one bundle. It is started before the bundle is ready, since starting takes time. */
export interface Describer {
  /** Loads the bundle at `file` (absolute). `timeoutMs` counts from now. Rejects only when `signal` aborts. */
  describe(file: string, timeoutMs: number, signal: AbortSignal): Promise<Outcome>;
  /** Ends the thread, whatever it is doing. */
  close(): Promise<void>;
}

/** Starts the thread. `workerFile` is the built `describe-worker.js`. */
export function startDescriber(workerFile: string, env: NodeJS.ProcessEnv): Describer {
  const worker = new Worker(workerFile, {
    name: "appctl-describe",
    env: describeEnvironment(env),
    argv: [],
    execArgv: [],
    stdout: true,
    stderr: true,
  });
  worker.unref();
  const output: string[] = [];
  for (const stream of [worker.stdout, worker.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output.push(...text.split(/\r?\n/).filter((line) => line !== ""));
      output.splice(0, output.length - MAX_OUTPUT_LINES);
    });
  }
  const done = Promise.withResolvers<Outcome>();
  let said: Outcome | undefined;
  worker.on("message", (message: WorkerMessage) => {
    said ??= message.type === "described" ? message : { ...message, output };
    // What failed has more to print; what succeeded has nothing more to say.
    if (message.type !== "exited") done.resolve(said);
  });
  worker.on("error", (error: unknown) => {
    said ??= { type: "threw", error: thrown(error), output };
    done.resolve(said);
  });
  worker.on("exit", () => done.resolve(said ?? { type: "unsettled", output }));

  return {
    async describe(file, timeoutMs, signal) {
      signal.throwIfAborted();
      const over = new AbortController();
      const request: WorkerRequest = { file };
      worker.ref();
      worker.postMessage(request);
      try {
        const late = timeout(worker, timeoutMs, AbortSignal.any([signal, over.signal])).then(
          (busy): Outcome => ({ type: "timeout", busy, output }),
        );
        // An abort rejects this promise after the race is over, too: that one is nobody's concern.
        late.catch(() => undefined);
        return await Promise.race([done.promise, late]);
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        over.abort();
        worker.unref();
      }
    },
    async close() {
      await worker.terminate();
    },
  };
}

/** Waits for the time limit, and tells by the moment after it whether the thread computes (true) or waits. */
async function timeout(worker: Worker, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  await delay(timeoutMs, undefined, { signal });
  const before = worker.performance.eventLoopUtilization();
  await delay(100, undefined, { signal });
  return worker.performance.eventLoopUtilization(before).utilization > 0.5;
}

/** An error that came out of the thread by itself: thrown outside of the import, or a rejection that nobody handled. */
function thrown(error: unknown): RawError {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const code = (error as { code?: unknown } | null)?.code;
  return {
    name: error instanceof Error ? error.name : "",
    message: messageOf(error),
    frames: stack.split("\n").filter((line) => /^\s+at /.test(line)),
    ...(typeof code === "string" ? { code } : {}),
  };
}
