import { listProcesses, processTree, residentBytes } from "./proc.ts";

/** Time between two looks, in milliseconds. */
export const MEMORY_LOOK_MS = 250;
/** After how many looks the processes are searched for again: the search reads every process of the machine. */
const LOOKS_A_SEARCH = 8;

interface Watched {
  limit: number;
  /** The processes as the last search found them. */
  members: number[];
  over(): void;
}

/**
 * Watches the memory of process trees that no control group limits. One timer and one search serve all of them, since a
 * search for each is what an idle platform with many apps would spend its time on.
 */
export class MemoryWatch {
  readonly #intervalMs: number;
  readonly #watched = new Map<number, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(intervalMs = MEMORY_LOOK_MS) {
    this.#intervalMs = intervalMs;
  }

  /**
   * Calls `over` at each look at which the processes below `root` use more than `limit` bytes, until the function that it
   * returns is called. Processes that `root` starts are known at the next search.
   */
  watch(root: number, limit: number, over: () => void): () => void {
    this.#watched.set(root, { limit, members: [root], over });
    this.#timer ??= setInterval(() => this.#look(), this.#intervalMs).unref();
    return () => {
      this.#watched.delete(root);
      if (this.#watched.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #look(): void {
    if (this.#looks++ % LOOKS_A_SEARCH === 0) {
      const all = listProcesses();
      for (const [root, watched] of this.#watched) watched.members = processTree(root, all);
    }
    for (const [root, { limit, members, over }] of this.#watched) {
      // A process id may have gone to a stranger since the search: a second look, at what is there now, decides.
      if (residentBytes(members) > limit && residentBytes(processTree(root)) > limit) over();
    }
  }
}
