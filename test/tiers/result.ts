/** Reads what vitest's JSON reporter wrote of one tier, and says what it means. */
import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** A test that ran. */
export interface RanTest {
  /** File, relative to the working directory, and full name. */
  name: string;
  /** Milliseconds. */
  duration: number;
}

/** The outcome of one tier. */
export interface TierResult {
  tier: string;
  /** Seconds that the tier took, with everything around its tests. */
  seconds: number;
  passed: number;
  failed: number;
  /** Full names of the tests that were left out; each has printed its reason. */
  skipped: string[];
  tests: RanTest[];
  /** What failed besides tests: a command, a worker that died, a tier without a test. */
  faults: string[];
}

/** The part of Jest's JSON format that is read; vitest writes it. */
interface JsonReport {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; duration?: number | null }[];
  }[];
}

/**
 * Counts the cases of a report. Whatever neither passed nor was left out has failed: a worker that dies leaves its tests
 * "pending". A file that failed without a failed test, a run that ended badly, and a run without a single test count as one more.
 */
export function readResult(
  tier: string,
  { report, exit, seconds }: { report: string | undefined; exit: number | string; seconds: number },
): TierResult {
  const result: TierResult = { tier, seconds, passed: 0, failed: 0, skipped: [], tests: [], faults: [] };
  const fault = (message: string) => {
    result.failed++;
    result.faults.push(message);
  };
  const files = parsed(report)?.testResults;
  if (!files) fault(`the test runner ended with ${exit} and left no result`);
  for (const { name: path, status, message, assertionResults } of files ?? []) {
    const file = relative("", path);
    const failedBefore = result.failed;
    for (const { fullName, status: state, duration } of assertionResults) {
      const name = `${file} > ${fullName}`;
      if (state === "skipped" || state === "todo") result.skipped.push(name);
      else if (state === "passed") result.passed++;
      else if (state === "failed") result.failed++;
      else fault(`${name} did not end`);
      if (typeof duration === "number") result.tests.push({ name, duration });
    }
    if (status !== "passed" && result.failed === failedBefore) fault(`${file} failed: ${message || "see above"}`);
  }
  // What is checked around all files, such as the search for secrets, is in no file.
  if (exit !== 0 && result.failed === 0) fault(`the test runner ended with ${exit}`);
  if (result.passed === 0 && result.failed === 0) fault("no test ran");
  return result;
}

function parsed(report: string | undefined): JsonReport | undefined {
  if (report === undefined) return undefined;
  try {
    const value = JSON.parse(report) as Partial<JsonReport>;
    return Array.isArray(value.testResults) ? (value as JsonReport) : undefined;
  } catch {
    return undefined; // cut off: the runner was killed while it wrote
  }
}

/** The text of a report; undefined when there is none. */
export function readReport(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** How many tests passed, failed and were left out. */
export type Totals = Record<"passed" | "failed" | "skipped", number>;

/** The sum over tiers. */
export function totals(results: readonly TierResult[]): Totals {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of results) {
    sum.passed += passed;
    sum.failed += failed;
    sum.skipped += skipped.length;
  }
  return sum;
}

/** `N passed, N failed`, and `N skipped` when there are any. */
export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** The lines before the closing one: faults, tests that were left out, the time of each tier and the `slowest` slowest tests. */
export function summary(results: readonly TierResult[], slowest: number): string[] {
  const lines = results.flatMap(({ tier, faults, skipped }) => [
    ...faults.map((fault) => `${tier}: ${fault}`),
    ...skipped.map((name) => `${tier} left out (its reason is above): ${name}`),
  ]);
  for (const result of results) {
    const seconds = result.seconds.toFixed(1).padStart(7);
    lines.push(`${result.tier.padEnd(6)} ${seconds} s   ${closingLine(totals([result]))}`);
  }
  const tests = results.flatMap((result) => result.tests).sort((a, b) => b.duration - a.duration);
  if (slowest > 0) lines.push(`The ${slowest} slowest tests:`);
  for (const { name, duration } of tests.slice(0, slowest)) {
    lines.push(`${(duration / 1000).toFixed(1).padStart(7)} s   ${name}`);
  }
  return lines;
}
