// Prints the test runner's result as one plain line, from the JSON that it wrote and its exit status.
import { readFileSync } from "node:fs";

const [file, status = "0"] = process.argv.slice(2);
const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(file, "utf8"));
// A file that could not be loaded, or whose end has failed, has no test that did, but it has failed all the same.
const failedFiles = testResults.filter(
  ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
).length;
// So has a run that ended badly for any other reason: what is checked around the whole suite is in no file.
const failed = Math.max(numFailedTests + failedFiles, status === "0" ? 0 : 1);
const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : "";
console.log(`${numPassedTests} passed, ${failed} failed${skipped}`);
