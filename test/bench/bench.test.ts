import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Figure, Measured, Missing } from "./figure.ts";
import { figures } from "./figures.ts";
import { family, memory, missingPrograms, processorTime } from "./programs.ts";
import { alternate, compare, median } from "./statistics.ts";
import { benchPart, digits, partOf, reached, withBench } from "./table.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "benchmarks.md"), "utf8");

/** The cells of a table's lines, without its head. */
const cellsOf = (part: string) =>
  part
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));

describe("the page of benchmarks", () => {
  const cells = cellsOf(partOf(page) ?? "");

  it("has every row of the bench's figures, once, with its target (npm run bench writes it)", () => {
    const rows = figures.flatMap(({ rows: own }) => Object.values(own));
    expect(rows.length).toBeGreaterThan(10);
    for (const { what, against = "", target } of rows) {
      const lines = cells.filter(([first, , floor]) => first === what && (floor ?? "").startsWith(against));
      expect(lines, what).toHaveLength(1);
      if (!target) continue;
      const limit = "atMost" in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
      expect(lines[0]?.[4], what).toContain(limit);
    }
  });

  it("says yes and no as its own numbers have it, and why where it says no", () => {
    const judged = cells.filter(([, , , , , verdict]) => verdict === "yes" || verdict === "no");
    expect(judged.length).toBeGreaterThan(0);
    for (const [what = "", measured = "", , ratio = "", target = "", verdict] of judged) {
      const [sign, limit] = target.split(" ");
      const value = Number.parseFloat(target.endsWith("×") ? ratio : measured);
      // What is shown is rounded, so a value at its limit may stand on either side.
      if (value !== Number(limit))
        expect([what, value <= Number(limit) === (sign === "≤")]).toEqual([what, verdict === "yes"]);
      if (verdict === "no") expect(partOf(page)).toContain(`- Not reached: ${what}`);
    }
  });

  it("is for figures that `--only` can tell apart", () => {
    const names = figures.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("the bench's arithmetic", () => {
  it("finds the middle of odd and even numbers of values, and leaves them in their order", () => {
    const values = [9, 1, 5];
    expect(median(values)).toBe(5);
    expect(values).toEqual([9, 1, 5]);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow("no values");
  });

  it("compares pair by pair, so that a slow while of the machine changes no ratio", () => {
    // The second half ran on a machine that was ten times slower.
    expect(compare({ ours: [20, 20, 200, 200, 200], floor: [10, 10, 100, 100, 100] })).toEqual({
      value: 200,
      against: 100,
      ratio: 2,
    });
    expect(compare({ ours: [1, 30, 3], floor: [1, 10, 2] }).ratio).toBe(1.5);
    expect(() => compare({ ours: [1], floor: [] })).toThrow("1 values on one side, 0 on the other");
  });

  it("takes both sides in turns, after one run of each that does not count, and changes who is first", async () => {
    const order: string[] = [];
    const side = (name: string) => async () => {
      order.push(name);
      return order.length;
    };
    const pairs = await alternate(3, side("ours"), side("floor"));
    expect(order).toEqual(["ours", "floor", "ours", "floor", "floor", "ours", "ours", "floor"]);
    expect(pairs).toEqual({ ours: [3, 6, 7], floor: [4, 5, 8] });
  });

  it("judges ratios and values, at most and at least, the limit included", () => {
    const measured = { value: 50, against: 10, ratio: 5 };
    expect(reached({ of: "ratio", atMost: 5 }, measured)).toBe(true);
    expect(reached({ of: "ratio", atMost: 4.99 }, measured)).toBe(false);
    expect(reached({ of: "ratio", atLeast: 5 }, measured)).toBe(true);
    expect(reached({ of: "ratio", atLeast: 5.01 }, measured)).toBe(false);
    expect(reached({ of: "value", atMost: 50 }, measured)).toBe(true);
    expect(reached({ of: "value", atMost: 49 }, { value: 50 })).toBe(false);
    expect(() => reached({ of: "ratio", atMost: 1 }, { value: 1 })).toThrow("not measured");
  });

  it("reads what the kernel says of a process", () => {
    const before = processorTime(process.pid);
    // To look is work: the time that it takes is seen at last, or the test times out.
    while (processorTime(process.pid) === before);
    expect(processorTime(process.pid)).toBeGreaterThan(before);
    const { rss, pss } = memory(process.pid);
    expect(rss).toBeGreaterThan(10);
    expect(pss).toBeGreaterThan(1);
    expect(pss).toBeLessThanOrEqual(rss);
    expect(family(process.ppid)).toContain(process.pid);
    expect(missingPrograms(["sh", "no-such-program-of-ours"])).toBe("no-such-program-of-ours not installed");
    expect(missingPrograms(["sh"])).toBeUndefined();
  });
});

describe("the table", () => {
  const figure = (rows: Record<string, Measured | Missing>, inUse = 0): { figures: Figure[]; part(): string } => {
    const figures: Figure[] = [
      {
        name: "f",
        rows: {
          fast: {
            what: "fast",
            against: "floor",
            unit: "ms",
            target: { of: "ratio", atMost: 2 },
            missed: "it is slow",
          },
          info: { what: "info", unit: "MiB" },
        },
        measure: async () => ({ rows }),
      },
    ];
    return {
      figures,
      part: () => benchPart(figures, { machine: "Here, today.", figures: { f: { rows } }, inUse: { f: inUse } }),
    };
  };

  it("shows what is reached without a reason", () => {
    const part = figure({ fast: { value: 15, against: 10, ratio: 1.5 }, info: { value: 3 } }).part();
    expect(cellsOf(part).slice(-2)).toEqual([
      ["fast", "15.0 ms", "floor: 10.0 ms", "1.50", "≤ 2 ×", "yes"],
      ["info", "3.00 MiB", "", "", "", ""],
    ]);
    expect(part).not.toContain("it is slow");
  });

  it("says when the machine was busy with something else", () => {
    const rows = { fast: { value: 15, against: 10, ratio: 1.5 }, info: { value: 3 } };
    expect(figure(rows, 0.05).part()).toMatch(/^Here, today\.\n/);
    const slow = { ...rows, fast: { value: 30, against: 10, ratio: 3 } };
    expect(figure(slow, 0.66).part()).toContain("Why: it is slow; or the other programs that ran meanwhile.");
    expect(figure(rows, 0.66).part()).toMatch(
      /^Here, today\. Other programs ran meanwhile, .* `f` while they used 66 % of the processors\./,
    );
  });

  it("says why something is not reached, and what could not be measured", () => {
    const missed = figure({ fast: { value: 30, against: 10, ratio: 3 }, info: { missing: "no such thing" } }).part();
    expect(cellsOf(missed).at(-2)?.at(-1)).toBe("no");
    expect(missed).toContain("- Not reached: fast, next to floor. Why: it is slow.");
    expect(missed).toContain("| info | not measured: no such thing |");
  });

  it("has all rows or is not written, and leaves the rest of the page alone", () => {
    expect(() => figure({ fast: { value: 1, against: 1, ratio: 1 } }).part()).toThrow("no result for f: info");
    const text = "a\n<!-- bench -->\nold\n<!-- end of bench -->\nb";
    expect(withBench(text, "new $& $1")).toBe("a\n<!-- bench -->\nnew $& $1\n<!-- end of bench -->\nb");
    expect(partOf(withBench(text, "new"))).toBe("new");
    expect(partOf("nothing")).toBeUndefined();
    expect(() => withBench("nothing", "new")).toThrow("no part bench");
  });

  it("shows the digits that count", () => {
    expect([0, 1.234, 12.34, 123.4, 12345.6].map(digits)).toEqual(["0.00", "1.23", "12.3", "123", "12346"]);
  });
});
