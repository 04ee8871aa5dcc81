/** What clients ask the platform to build: equal requests share one task, and few tasks run at once. */
import { createHash } from "node:crypto";
import { ExitCode, messageOf } from "../../core/errors.ts";
import { canonicalJson } from "../../oci/model.ts";
import { type BuildTask, brokenOff, type FinalEvent, type TaskEvent } from "./task.ts";

/** What {@link Builds} works with. */
export interface BuildsOptions {
  /** Does a task; throws the signal's reason after an abort, once nothing of it runs any more. */
  run(task: BuildTask, options: { signal: AbortSignal; onEvent(event: TaskEvent): void }): Promise<FinalEvent>;
  /** The answer to a task that takes no time, if it is one. */
  known(task: BuildTask, signal: AbortSignal): Promise<FinalEvent | undefined>;
  report(message: string): void;
  /** How many tasks of a kind run at once. Default 2. */
  limit?: number;
  /** How long all requests under way may be together, in characters. Default {@link MOST_HELD}. */
  mostHeld?: number;
}

/** They lie in the memory of the platform until their turn comes: enough for a hundred large lock files. */
const MOST_HELD = 1 << 28;

/** A task that is under way, for those who wait for it. */
interface Shared {
  events: TaskEvent[];
  isDone: boolean;
  waiting: number;
  wake: Set<() => void>;
  controller: AbortController;
}

/** The tasks under way. */
export class Builds {
  readonly #options: BuildsOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #running = new Set<Promise<void>>();
  /** The last build of each image name: two that come to the same image must not make it side by side. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #slots: Record<BuildTask["type"], Slots>;
  /** Characters of all requests under way. */
  #held = 0;
  #isClosed = false;

  constructor(options: BuildsOptions) {
    this.#options = options;
    const { limit = 2 } = options;
    this.#slots = { resolve: new Slots(limit), build: new Slots(limit) };
  }

  /**
   * The lines of the answer to a task, to the last one. Ending the iteration leaves the task, which is given up when nobody
   * else waits for it.
   */
  async *follow(task: BuildTask, signal: AbortSignal): AsyncGenerator<TaskEvent, void> {
    const { key, size } = identityOf(task);
    const hasRoom = this.#held + size <= (this.#options.mostHeld ?? MOST_HELD);
    const shared = this.#shared.get(key) ?? (hasRoom ? this.#start(key, task, size) : undefined);
    if (shared === undefined) {
      yield tooMany();
      return;
    }
    shared.waiting++;
    let wake = () => {};
    const onEvent = () => wake();
    shared.wake.add(onEvent);
    signal.addEventListener("abort", onEvent);
    try {
      // Whoever comes later need not see how far it was before.
      for (let at = Math.max(0, shared.events.length - 1); ; at++) {
        while (at >= shared.events.length && !shared.isDone && !signal.aborted) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const event = shared.events[at];
        if (signal.aborted || event === undefined) return;
        yield event;
      }
    } finally {
      shared.wake.delete(onEvent);
      signal.removeEventListener("abort", onEvent);
      if (--shared.waiting === 0 && !shared.isDone) {
        this.#shared.delete(key);
        shared.controller.abort(new Error("nobody waits for it any more"));
      }
    }
  }

  /** Gives up every task; returns when nothing of them runs any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { controller } of this.#shared.values()) controller.abort(new Error("the platform is stopping"));
    await Promise.all(this.#running);
  }

  #start(key: string, task: BuildTask, size: number): Shared {
    this.#held += size;
    const controller = new AbortController();
    const shared: Shared = { events: [], isDone: false, waiting: 0, wake: new Set(), controller };
    this.#shared.set(key, shared);
    const { signal } = controller;
    const onEvent = (event: TaskEvent) => {
      shared.events.push(event);
      for (const wake of shared.wake) wake();
    };
    const work = async () => {
      const last = await this.#inTurn(task, signal, onEvent).catch((error: unknown) => {
        if (!signal.aborted && !this.#isClosed) this.#options.report(`a build failed: ${messageOf(error)}`);
        return brokenOff(`the platform stopped the build: ${messageOf(error)}`);
      });
      shared.isDone = true;
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
      onEvent(last);
    };
    const running = work().finally(() => {
      this.#held -= size;
      this.#running.delete(running);
    });
    this.#running.add(running);
    return shared;
  }

  async #inTurn(task: BuildTask, signal: AbortSignal, onEvent: (event: TaskEvent) => void): Promise<FinalEvent> {
    if (this.#isClosed) throw new Error("the platform is stopping");
    if (task.type === "resolve") {
      return (await this.#options.known(task, signal)) ?? this.#inSlot(task, signal, onEvent);
    }
    const { name } = task.request;
    const before = this.#last.get(name);
    const run = async () => {
      if (before !== undefined) {
        onEvent(waiting(`for another build of ${name}`));
        await unless(signal, before);
      }
      return this.#inSlot(task, signal, onEvent);
    };
    const mine = run();
    const settled = Promise.allSettled([before, mine]);
    this.#last.set(name, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === settled) this.#last.delete(name);
    }
  }

  async #inSlot(task: BuildTask, signal: AbortSignal, onEvent: (event: TaskEvent) => void): Promise<FinalEvent> {
    const slots = this.#slots[task.type];
    if (slots.isFull) onEvent(waiting("for other builds to end"));
    const leave = await slots.enter(signal);
    try {
      return await this.#options.run(task, { signal, onEvent });
    } finally {
      leave();
    }
  }
}

/** What equal tasks have in common, and how long that is as text. */
function identityOf(task: BuildTask): { key: string; size: number } {
  const text = canonicalJson(task);
  return { key: createHash("sha256").update(text).digest("hex"), size: text.length };
}

function tooMany(): FinalEvent {
  return {
    ...{ type: "failed", code: "TOO_MANY_BUILDS", exit: ExitCode.unavailable, details: [], faults: [] },
    message: "too many builds are waiting on the platform",
    ...{ hint: "deploy again when some of them have finished", next: ["appctl platform status"] },
  };
}

function waiting(what: string): TaskEvent {
  return { type: "progress", step: "resolve", message: `waiting ${what}` };
}

/** A number of places; who finds none waits, and is next in order. */
class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  get isFull(): boolean {
    return this.#free === 0;
  }

  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else {
      const turn = Promise.withResolvers<void>();
      this.#queue.push(turn.resolve);
      await unless(signal, turn.promise).catch((error: unknown) => {
        const at = this.#queue.indexOf(turn.resolve);
        if (at >= 0) this.#queue.splice(at, 1);
        else this.#leave(); // its turn came at the same moment
        throw error;
      });
    }
    return () => this.#leave();
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#free++;
  }
}

/** Waits for `work` until the signal aborts; throws its reason then. */
async function unless(signal: AbortSignal, work: Promise<unknown>): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
