import type { BuildProgress, DeployEvent } from "../core/events.ts";

/** What takes no longer than this, in milliseconds, need not be spoken of. */
const MOMENT_MS = 1_000;

/** Turns progress callbacks into events of the generator that waits for the work. */
export class ProgressQueue {
  #steps: BuildProgress[] = [];
  #wake: () => void = () => undefined;

  push(step: BuildProgress): void {
    this.#steps.push(step);
    this.#wake();
  }

  /** `work`; when it takes longer than a moment, `message` says what it waits for. */
  async unlessQuick<T>(message: string, work: () => Promise<T>): Promise<T> {
    const late = setTimeout(() => this.push({ step: "resolve", message }), MOMENT_MS);
    try {
      return await work();
    } finally {
      clearTimeout(late);
    }
  }

  async *during<T>(work: Promise<T>): AsyncGenerator<DeployEvent, T> {
    let settled = false;
    const end = () => {
      settled = true;
      this.#wake();
    };
    work.then(end, end);
    for (;;) {
      const steps = this.#steps;
      this.#steps = [];
      for (const step of steps) yield { type: "build", ...step };
      if (settled && this.#steps.length === 0) return work;
      if (this.#steps.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (settled || this.#steps.length > 0) resolve();
        });
      }
    }
  }
}
