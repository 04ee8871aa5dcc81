import { expect, it } from "vitest";
import { Trace } from "../../src/core/trace.ts";
import { traceLines } from "../../src/ui/trace-lines.ts";

it("a trace tells when each phase began and how long it took, also of one that failed", async () => {
  let now = 0;
  const trace = new Trace(() => now);
  const pass = (ms: number) => {
    now += ms;
  };
  pass(40);
  trace.since("start", 0);
  const bundling = trace.time("bundle", async () => {
    await Promise.resolve();
    pass(60);
  });
  const begun = trace.now();
  pass(5);
  expect(trace.since("connect", begun)).toBe(45);
  await bundling;
  await expect(
    trace.time("apply", async () => {
      pass(7);
      throw new Error("refused");
    }),
  ).rejects.toThrow("refused");
  expect(trace.spans()).toEqual([
    { name: "start", start: 0, end: 40 },
    { name: "bundle", start: 40, end: 105 },
    { name: "connect", start: 40, end: 45 },
    { name: "apply", start: 105, end: 112 },
  ]);
  expect(traceLines(trace.spans()).slice(1)).toEqual([
    "     0     40  start",
    "    40     65  bundle",
    "    40      5  connect",
    "   105      7  apply",
  ]);
});
