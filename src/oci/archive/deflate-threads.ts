/** Compresses in other threads than the caller's, one for each further processor. */
import { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { builtFile } from "../../core/package-files.ts";

/** What `deflate` is to be called with. `data` has an ArrayBuffer of its own. */
export interface DeflatePart {
  data: Uint8Array<ArrayBuffer>;
  start: number;
  last: boolean;
  depth: number;
}

interface Thread {
  worker: Worker;
  /** What it was given and has not brought back yet, in that order. */
  tasks: Task[];
}

interface Task extends PromiseWithResolvers<Buffer> {
  spare: DeflatePart["data"][];
}

/** What a thread brings back: the result, and the part's data. */
export interface DeflateResult {
  packed: Uint8Array<ArrayBuffer>;
  data: DeflatePart["data"];
}

/** The most threads at a time: the caller's own is busy as well. */
export const THREADS = Math.min(7, availableParallelism() - 1);
/** Parts that a thread is given at a time: one to work on, and the next. */
const AT_A_TIME = 2;
/** How long threads stay for the next layer when they have nothing to do, in ms. */
const IDLE = 1000;

// One set for the process: a platform that builds several images at a time has no more processors for that.
const threads = new Set<Thread>();
let idle: NodeJS.Timeout | undefined;

/**
 * {@link deflate} in another thread; undefined when all of them have enough to do. `part.data` is given away: nobody may use
 * it until it is among `spare`.
 */
export function deflateInThread(part: DeflatePart, spare: DeflatePart["data"][]): Promise<Buffer> | undefined {
  const [least] = [...threads].sort((a, b) => a.tasks.length - b.tasks.length);
  const thread = (least?.tasks.length ?? 1) > 0 && threads.size < THREADS ? start() : least;
  if (thread === undefined || thread.tasks.length >= AT_A_TIME) return undefined;
  clearTimeout(idle);
  const task: Task = { ...Promise.withResolvers<Buffer>(), spare };
  // Who has given up on the layer does not look any more; everybody else sees the failure all the same.
  task.promise.catch(() => {});
  thread.tasks.push(task);
  thread.worker.ref(); // the process stays for it
  thread.worker.postMessage(part, [part.data.buffer]);
  return task.promise;
}

function start(): Thread {
  const worker = new Worker(builtFile("deflate-worker.js"), { name: "appctl-deflate", env: {}, execArgv: [] });
  const thread: Thread = { worker, tasks: [] };
  threads.add(thread);
  worker.on("message", ({ packed, data }: DeflateResult) => {
    const task = thread.tasks.shift();
    task?.spare.push(data);
    task?.resolve(Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength));
    if (thread.tasks.length === 0) worker.unref();
    rest();
  });
  const ended = (error: unknown) => {
    threads.delete(thread);
    for (const { reject } of thread.tasks.splice(0)) reject(error);
    rest(); // the others may have nothing to do either
  };
  worker.on("error", ended);
  worker.on("exit", (code) => ended(new Error(`a thread that compresses ended with ${code}`)));
  return thread;
}

/** Ends the threads when there has been nothing to do for a while. */
function rest(): void {
  if ([...threads].some(({ tasks }) => tasks.length > 0)) return;
  clearTimeout(idle);
  idle = setTimeout(() => {
    for (const { worker } of threads) void worker.terminate();
    threads.clear();
  }, IDLE).unref();
}
