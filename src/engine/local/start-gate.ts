import { availableParallelism } from "node:os";

/** How long a start counts, in milliseconds: one that hangs must not keep the others waiting. */
const LONGEST_MS = 10_000;

/**
 * Lets a few starts go on at a time. A start is work for a processor: of many at once each would take as long as all of them, and
 * nothing would answer before the end.
 */
export class StartGate {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(most = 2 * availableParallelism()) {
    this.#most = most;
  }

  /** Resolves when a start may begin, in the order of the calls. Call the function that it gives when the start is over. */
  async enter(): Promise<() => void> {
    if (this.#inside >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inside++;
    let isOver = false;
    const leave = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const next = this.#waiting.shift();
      // The place goes to the next one.
      if (next) next();
      else this.#inside--;
    };
    const timer = setTimeout(leave, LONGEST_MS);
    timer.unref();
    return leave;
  }
}
