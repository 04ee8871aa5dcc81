import { describe, expect, it } from "vitest";
import { StartGate } from "../../src/engine/local/start-gate.ts";

describe("the gate of starts", () => {
  it("lets a few in, and the next one for each that leaves, in order", async () => {
    const gate = new StartGate(2);
    const order: number[] = [];
    const leave: (() => void)[] = [];
    const all = [0, 1, 2, 3].map(async (number) => {
      leave[number] = await gate.enter();
      order.push(number);
    });
    await Promise.all(all.slice(0, 2));
    await Promise.resolve();
    expect(order).toEqual([0, 1]);
    leave[1]?.();
    leave[1]?.();
    await all[2];
    expect(order).toEqual([0, 1, 2]);
    leave[0]?.();
    await all[3];
    expect(order).toEqual([0, 1, 2, 3]);
    leave[2]?.();
    leave[3]?.();
    (await gate.enter())();
  });
});
