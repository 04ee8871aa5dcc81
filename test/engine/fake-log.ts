/** The output of the fake's apps, in memory. */
import type { LogLine } from "../../src/contract/types.ts";
import type { LogQuery } from "../../src/engine/engine.ts";

/** One app's output. */
export class FakeLog {
  readonly #lines: LogLine[] = [];
  readonly #wake = new Set<() => void>();
  #ended = false;

  add(line: LogLine): void {
    if (!this.#ended) this.#lines.push(line);
    this.#tell();
  }

  /** Ends those who follow. With `remove` nothing is left to read. */
  end(remove: boolean): void {
    this.#ended = true;
    if (remove) this.#lines.length = 0;
    this.#tell();
  }

  /** It is written to again: an engine was started on the same state. */
  reopen(): void {
    this.#ended = false;
  }

  async *read({ tail, since, follow, signal }: LogQuery): AsyncGenerator<LogLine> {
    const from = since === undefined ? "" : new Date(since).toISOString();
    let at = tail === undefined ? 0 : Math.max(0, this.#lines.length - tail);
    const end = this.#lines.length;
    while (!signal.aborted) {
      for (const line of this.#lines.slice(at, follow ? undefined : end)) {
        if (signal.aborted) return;
        at++;
        if (line.time >= from) yield line;
      }
      if (!follow || (this.#ended && at >= this.#lines.length)) return;
      if (at < this.#lines.length) continue;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wake.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake.add(wake);
        signal.addEventListener("abort", wake);
      });
    }
  }

  #tell(): void {
    for (const wake of [...this.#wake]) wake();
  }
}
