/** A run of test files in a network namespace of their own, where an engine's bridges and firewall rules change nothing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One test of such a run. */
export interface NestedTest {
  name: string;
  /** `passed`, or what else became of it, in vitest's words. */
  status: string;
  /** Why it failed, with stacks. */
  messages: string[];
}

const VITEST = join(import.meta.dirname, "..", "..", "..", "node_modules", "vitest", "vitest.mjs");

interface Report {
  testResults: {
    assertionResults: {
      fullName: string;
      status: string;
      failureMessages: string[] | null;
    }[];
  }[];
}

/** Runs what the configuration names. Rejects with the run's output when a file could not be run or its end failed. */
export async function runInOwnNetwork(config: string): Promise<NestedTest[]> {
  const dir = mkdtempSync(join(tmpdir(), "ae-nested-"));
  try {
    const report = join(dir, "report.json");
    const args = ["run", "--config", config, "--reporter=json", `--outputFile.json=${report}`];
    const run = spawn(
      "unshare",
      ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", process.execPath, VITEST, ...args],
      // The runner around it tells its workers by these who they are.
      { stdio: ["ignore", "pipe", "pipe"], env: withoutVitest(process.env) },
    );
    let output = "";
    for (const stream of [run.stdout, run.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const [code] = await once(run, "close");
    const tests = testsOf(readReport(report, output));
    const failed = tests.some(({ status }) => status === "failed");
    if (tests.length === 0 || (code !== 0 && !failed)) throw new Error(`the run failed with code ${code}:\n${output}`);
    return tests;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function readReport(file: string, output: string): Report {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`the run wrote no report:\n${output}`, { cause: error });
  }
}

function testsOf({ testResults }: Report): NestedTest[] {
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status, failureMessages }) => ({
      name: fullName,
      status,
      messages: failureMessages ?? [],
    })),
  );
}

function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:VITEST|TEST$|TINYPOOL)/.test(name)));
}
