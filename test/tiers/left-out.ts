import type { Reporter, TestCase } from "vitest/node";

/** A reporter that prints why a test was left out: the default one says so only when another test of the file has failed. */
export default class LeftOut implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    if (result.state === "skipped" && result.note) console.log(`left out: ${test.fullName}: ${result.note}`);
  }
}
