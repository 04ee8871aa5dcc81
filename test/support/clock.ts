/** Time-outs that end when a test says so, not when their time is over. */
// @ts-expect-error undici has types for its entry only
import undiciTimers from "undici/lib/util/timers.js";
import { onTestFinished, vi } from "vitest";

/** The time-outs of a test that were made with `AbortSignal.timeout`. */
export interface TimeOuts {
  /** How long each was to take, in milliseconds, in the order in which they were made. */
  readonly lengths: number[];
  /** Lets all be over that were made so far. */
  end(): void;
}

/** Takes the time out of `AbortSignal.timeout` until the end of the test. */
export function timeOuts(): TimeOuts {
  const lengths: number[] = [];
  const controllers: AbortController[] = [];
  const spy = vi.spyOn(AbortSignal, "timeout").mockImplementation((length) => {
    const controller = new AbortController();
    lengths.push(length);
    controllers.push(controller);
    return controller.signal;
  });
  onTestFinished(() => spy.mockRestore());
  const end = () => {
    for (const controller of controllers.splice(0)) controller.abort(new DOMException("timed out", "TimeoutError"));
  };
  return { lengths, end };
}

/** Lets undici's clock, by which it ends silent answers, run `times` as fast until the end of the test. */
export function fastUndiciClock(times: number): void {
  const every = 10;
  const timer = setInterval(() => undiciTimers.tick(every * times), every);
  onTestFinished(() => clearInterval(timer));
}
