import { describe, expect, it } from "vitest";
import { closingLine, readResult, summary, totals } from "./result.ts";

/** A report as vitest's JSON reporter writes it. */
function reportOf(
  files: Record<string, { status?: string; message?: string; tests: [name: string, status: string, ms?: number][] }>,
) {
  return JSON.stringify({
    // Never read: vitest once counted a failed test as neither passed nor failed here.
    numPassedTests: 7,
    numFailedTests: 0,
    testResults: Object.entries(files).map(([name, { status = "passed", message = "", tests }]) => ({
      name,
      status,
      message,
      assertionResults: tests.map(([fullName, state, duration]) => ({ fullName, status: state, duration })),
    })),
  });
}

const read = (report: string | undefined, exit: number | string = 0) =>
  readResult("unit", { report, exit, seconds: 1.25 });

describe("the result of a tier", () => {
  it("counts cases, not the report's own sums", () => {
    const report = reportOf({
      a: {
        status: "failed",
        tests: [
          ["one", "passed", 5],
          ["two", "failed", 7],
          ["three", "skipped"],
          ["four", "todo"],
        ],
      },
      b: { tests: [["one", "passed", 1]] },
    });
    const result = read(report, 1);
    expect(result).toMatchObject({ passed: 2, failed: 1, skipped: ["a > three", "a > four"], faults: [] });
    expect(result.tests).toContainEqual({ name: "a > two", duration: 7 });
  });

  it.each([
    ["did not end", "pending"],
    ["have a status that is not known", "counted-as-neither"],
  ])("has failed for tests that %s", (_, status) => {
    const report = reportOf({
      a: {
        tests: [
          ["one", "passed"],
          ["two", status],
        ],
      },
    });
    expect(read(report)).toMatchObject({ passed: 1, failed: 1, faults: ["a > two did not end"] });
  });

  it("has failed for a file that could not be loaded", () => {
    const report = reportOf({
      a: { status: "failed", message: "no such module", tests: [] },
      b: { tests: [["x", "passed"]] },
    });
    expect(read(report, 1)).toMatchObject({ passed: 1, failed: 1, faults: ["a failed: no such module"] });
  });

  it("has failed for what fails around all files", () => {
    const report = reportOf({ a: { tests: [["one", "passed"]] } });
    expect(read(report, 1)).toMatchObject({ passed: 1, failed: 1, faults: ["the test runner ended with 1"] });
    expect(read(report, "SIGKILL")).toMatchObject({ failed: 1, faults: ["the test runner ended with SIGKILL"] });
  });

  it.each([
    ["no test", reportOf({}), "no test ran"],
    ["tests that were all left out", reportOf({ a: { tests: [["one", "skipped"]] } }), "no test ran"],
  ])("has failed for %s", (_, report, fault) => {
    expect(read(report)).toMatchObject({ passed: 0, failed: 1, faults: [fault] });
  });

  it.each([
    ["no report", undefined],
    ["a report that was cut off", '{"testResults": [{"na'],
    ["another document", "[]"],
  ])("has failed for %s", (_, report) => {
    expect(read(report, "SIGKILL")).toMatchObject({
      passed: 0,
      failed: 1,
      faults: ["the test runner ended with SIGKILL and left no result"],
    });
  });
});

describe("the end of the output", () => {
  const one = read(
    reportOf({
      a: {
        tests: [
          ["one", "passed", 1500],
          ["two", "skipped"],
        ],
      },
    }),
  );
  const two = { ...read(reportOf({ b: { tests: [["slow", "passed", 9000]] } }), 1), tier: "e2e" };

  it("is the sum over all tiers", () => {
    expect(closingLine(totals([one, two]))).toBe("2 passed, 1 failed, 1 skipped");
    expect(closingLine(totals([{ ...one, skipped: [] }]))).toBe("1 passed, 0 failed");
  });

  it("names faults, left-out tests, the time of each tier and the slowest tests", () => {
    expect(summary([one, two], 1)).toEqual([
      "unit left out (its reason is above): a > two",
      "e2e: the test runner ended with 1",
      "unit       1.3 s   1 passed, 0 failed, 1 skipped",
      "e2e        1.3 s   1 passed, 1 failed",
      "The 1 slowest tests:",
      "    9.0 s   b > slow",
    ]);
  });
});
