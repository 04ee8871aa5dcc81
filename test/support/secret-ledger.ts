/**
 * Around the whole suite: gives the tests a ledger for their searches for secrets, and reads it at the end. A leak has failed
 * its own test file by then; here the run also fails when too little was searched, so that it cannot pass by not looking.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LEDGER, type LedgerEntry } from "./secret-search.ts";

/** What the whole suite searches at the least. */
const LEAST = { places: 60, files: 20_000, texts: 1000, secrets: 100 };
/** Set by `test/run.sh` when nothing was left out of the run. */
const WHOLE = "SECRET_SEARCH_WHOLE_SUITE";

/** vitest's `globalSetup`. */
export default function setup(): () => void {
  const own = process.env[LEDGER] === undefined;
  const dir = own ? mkdtempSync(join(tmpdir(), "secret-ledger-")) : undefined;
  if (dir !== undefined) process.env[LEDGER] = join(dir, "ledger");
  const ledger = process.env[LEDGER] as string;
  writeFileSync(ledger, "");
  return () => {
    const entries = readFileSync(ledger, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LedgerEntry);
    if (dir !== undefined) rmSync(dir, { recursive: true });
    const sum = (of: (entry: LedgerEntry) => number) => entries.reduce((total, entry) => total + of(entry), 0);
    const searched = {
      places: entries.length,
      files: sum(({ files }) => files),
      texts: sum(({ texts }) => texts),
      secrets: sum(({ secrets }) => secrets),
    };
    const faults = entries.flatMap(({ what, leaks }) => leaks.map((leak) => `${leak}, after ${what}`));
    if (process.env[WHOLE] !== undefined) {
      for (const key of Object.keys(LEAST) as (keyof typeof LEAST)[]) {
        if (searched[key] < LEAST[key]) faults.push(`only ${searched[key]} ${key} were searched, not ${LEAST[key]}`);
      }
    }
    const words = Object.entries(searched).map(([key, count]) => `${count} ${key}`);
    console.log(`Searched for secrets: ${words.join(", ")}; ${faults.length} faults.`);
    if (faults.length > 0) throw new Error(`the search for secrets failed:\n  ${faults.join("\n  ")}`);
  };
}
