/**
 * Runs tiers of the tests, one after another, and ends with one line: `N passed, N failed`. That line and the exit status come
 * from vitest's JSON reports alone (see `result.ts`).
 *
 *     node test/tiers/run.ts [--slowest N] TIER… [-- VITEST-ARGUMENT…]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { closingLine, readReport, readResult, summary, type TierResult, totals } from "./result.ts";
import { TIERS, type TierName } from "./tiers.ts";

const { values, positionals, tokens } = parseArgs({
  options: { slowest: { type: "string", default: "0" } },
  allowPositionals: true,
  tokens: true,
});
const end = tokens.find(({ kind }) => kind === "option-terminator")?.index ?? Number.POSITIVE_INFINITY;
const tiers = tokens.filter((token) => token.kind === "positional" && token.index < end).length;
const names = positionals.slice(0, tiers) as TierName[];
const vitestArguments = positionals.slice(tiers);
const unknown = names.filter((name) => !Object.hasOwn(TIERS, name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`unknown tiers: ${unknown.join(", ") || "none given"} (expected ${Object.keys(TIERS).join(", ")})`);
  process.exit(2);
}

console.log(names.length === 1 ? "This runs" : "This runs, one after another:");
for (const name of names) {
  const { summary: what, duration, needs } = TIERS[name];
  console.log(`  ${name.padEnd(6)} ${what}; about ${duration} on 2 cores; needs ${needs}`);
}
const results: TierResult[] = [];
for (const name of names) results.push(await runTier(name));
console.log("");
for (const line of summary(results, Number(values.slowest))) console.log(line);
const sum = totals(results);
console.log(closingLine(sum));
process.exitCode = sum.failed > 0 ? 1 : 0;

/** Runs the commands of a tier, then its tests. */
async function runTier(name: TierName): Promise<TierResult> {
  const started = performance.now();
  const { commands = [], workers } = TIERS[name];
  const dir = mkdtempSync(join(tmpdir(), "tier-"));
  try {
    const faults: string[] = [];
    for (const command of commands) {
      console.log(`\n> ${command.join(" ")}`);
      const exit = await run(command);
      if (exit !== 0) faults.push(`${command.join(" ")} ended with ${exit}`);
    }
    const file = join(dir, "result.json");
    const reporters = ["--reporter=default", "--reporter=./test/tiers/left-out.ts", "--reporter=json"];
    // The search for secrets has a least that it must see, when nothing is left out.
    const env = vitestArguments.length > 0 ? {} : { SECRET_SEARCH_TIER: name };
    const options = ["--project", name, "--maxWorkers", `${workers}`, `--outputFile.json=${file}`];
    const exit = await run(["vitest", "run", ...options, ...reporters, ...vitestArguments], env);
    const seconds = (performance.now() - started) / 1000;
    const result = readResult(name, { report: readReport(file), exit, seconds });
    return { ...result, failed: result.failed + faults.length, faults: [...faults, ...result.faults] };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Runs a program to its end; gives its exit code, or the signal that killed it. */
function run([program = "", ...args]: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number | string> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env } });
    child.once("error", ({ message }) => resolve(message));
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "an unknown status"));
  });
}
