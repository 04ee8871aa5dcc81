/** Counts the requests that a replica has under way. */
export class Leases {
  #held = 0;
  #onIdle: (() => void) | undefined;

  /** Takes one; the function that it gives ends it, once, however often it is called. */
  take(): () => void {
    this.#held++;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#held--;
      if (this.#held === 0) this.#onIdle?.();
    };
  }

  /** Resolves when none is held, or at {@link giveUp}. */
  idle(): Promise<void> {
    if (this.#held === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Ends the wait for {@link idle} now. */
  giveUp(): void {
    this.#onIdle?.();
  }
}
