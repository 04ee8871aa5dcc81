/** Compresses in threads, as many as the machine has processors: {@link deflate} of each part is the same everywhere. */
import { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { builtFile } from "../core/assets.ts";

/** What `deflate` is to be called with. `data` has an ArrayBuffer of its own. */
export interface Part {
  data: Uint8Array<ArrayBuffer>;
  start: number;
  last: boolean;
  depth: number;
}

interface Task {
  part: Part;
  resolve(packed: Buffer): void;
  reject(error: unknown): void;
}

/** A thread that works on one part at a time. */
interface Thread {
  worker: Worker;
  task: Task | undefined;
}

/** The most threads at a time; more than a few have nothing to do, because one thread makes the archive for all of them. */
export const THREADS = Math.min(8, availableParallelism());
/** How long threads stay for the next layer when they have nothing to do, in ms. */
const IDLE = 1000;

// One set for the process: a platform that builds several images at a time has no more processors for that.
const threads = new Set<Thread>();
const queue: Task[] = [];
let idle: NodeJS.Timeout | undefined;

/** {@link deflate} in another thread. `part.data` is given away: nobody may use it afterwards. */
export function deflateInThread(part: Part): Promise<Buffer> {
  const packed = new Promise<Buffer>((resolve, reject) => queue.push({ part, resolve, reject }));
  // Who gave up on the layer does not look any more; everybody else sees the failure all the same.
  packed.catch(() => {});
  next();
  return packed;
}

/** Gives waiting parts to threads that have none. */
function next(): void {
  clearTimeout(idle);
  while (queue.length > 0) {
    const thread = free() ?? (threads.size < THREADS ? start() : undefined);
    if (thread === undefined) return;
    const task = queue.shift() as Task;
    thread.task = task;
    thread.worker.ref(); // the process stays for it
    thread.worker.postMessage(task.part, [task.part.data.buffer]);
  }
  if ([...threads].some(({ task }) => task !== undefined)) return;
  idle = setTimeout(() => {
    for (const { worker } of threads) void worker.terminate();
    threads.clear();
  }, IDLE).unref();
}

function free(): Thread | undefined {
  for (const thread of threads) if (thread.task === undefined) return thread;
  return undefined;
}

function start(): Thread {
  const worker = new Worker(builtFile("deflate-worker.js"), { env: {}, execArgv: [], stdin: false });
  const thread: Thread = { worker, task: undefined };
  threads.add(thread);
  worker.on("message", ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>) => {
    const { task } = thread;
    thread.task = undefined;
    worker.unref();
    task?.resolve(Buffer.from(buffer, byteOffset, byteLength));
    next();
  });
  const ended = (error: unknown) => {
    threads.delete(thread);
    thread.task?.reject(error);
    thread.task = undefined;
    next();
  };
  worker.on("error", ended);
  worker.on("exit", (code) => ended(new Error(`a thread that compresses ended with ${code}`)));
  return thread;
}
