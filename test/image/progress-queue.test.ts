import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DeployEvent } from "../../src/core/events.ts";
import { ProgressQueue } from "../../src/image/progress-queue.ts";

describe("what takes longer than a moment", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function told(ms: number) {
    const queue = new ProgressQueue();
    const events: DeployEvent[] = [];
    const work = () => new Promise<string>((resolve) => setTimeout(resolve, ms, "done"));
    const drain = async () => {
      const steps = queue.during(queue.unlessQuick("looking for it", work));
      for (;;) {
        const { value, done } = await steps.next();
        if (done) return value;
        events.push(value);
      }
    };
    const result = drain();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await result).toBe("done");
    expect(vi.getTimerCount()).toBe(0);
    return events;
  }

  it("is spoken of, once", async () => {
    expect(await told(5000)).toEqual([{ type: "build", step: "resolve", message: "looking for it" }]);
  });

  it("and what does not is not", async () => {
    expect(await told(900)).toEqual([]);
  });
});
