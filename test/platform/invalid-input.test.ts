import { expect, it } from "vitest";
import { invalidInput } from "../../src/platform/api/context.ts";

const faults = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ path: `values[${index}]`, message: "must be a text" }));

it("tells every fault of an input, and of thousands the first and how many there are", () => {
  expect(invalidInput(faults(100)).problem.faults).toEqual(faults(100));
  const { faults: shown, detail } = invalidInput(faults(250_000)).problem;
  expect(shown).toEqual([...faults(100), { path: "(body)", message: "249900 more values are not valid" }]);
  expect(detail.length).toBeLessThan(10_000);
});
