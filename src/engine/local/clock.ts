import { setTimeout as delay } from "node:timers/promises";

/** Time as the engine sees it, so that a test can own it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts: it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. Its timers do not keep a process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    delay(ms, undefined, { ref: false, ...(signal ? { signal } : {}) }).catch(() => {
      // aborted: the caller looks at its signal
    }),
};
