/** One phase of a command. Times are milliseconds since the process started. */
export interface Span {
  name: string;
  start: number;
  end: number;
}

/** Notes where the time of a command goes: phases may overlap. `--verbose` shows it. */
export class Trace {
  readonly #now: () => number;
  readonly #spans: Span[] = [];

  /** `now` gives milliseconds since the process started. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Times `work` as the phase `name`, also when it fails. */
  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = this.#now();
    try {
      return await work();
    } finally {
      this.#spans.push({ name, start, end: this.#now() });
    }
  }

  /** Notes a phase that began at `start` and is over now. Returns the time of now: the start of the next one. */
  since(name: string, start: number): number {
    const end = this.#now();
    this.#spans.push({ name, start, end });
    return end;
  }

  /** The time of now. */
  now(): number {
    return this.#now();
  }

  /** Every phase that is over, in the order in which they began. */
  spans(): Span[] {
    return [...this.#spans].sort((a, b) => a.start - b.start || b.end - a.end);
  }
}
