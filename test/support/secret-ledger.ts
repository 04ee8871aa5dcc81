/**
 * Around a whole run: gives the tests a ledger for their searches for secrets, and reads it at the end. A leak has failed
 * its own test file by then; here the run also fails when too little was searched, so that it cannot pass by not looking.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TierName } from "../tiers/tiers.ts";
import { LEDGER, type LedgerEntry } from "./secret-search.ts";

/** What a search counts. */
type Counts = Record<"places" | "files" | "texts" | "secrets", number>;

/** What a whole tier searches at the least. */
const LEAST: Partial<Record<TierName, Counts>> = {
  e2e: { places: 50, files: 30_000, texts: 1000, secrets: 60 },
  system: { places: 5, files: 2000, texts: 100, secrets: 10 },
  long: { places: 10, files: 5000, texts: 300, secrets: 20 },
};
/** Name of the tier, set by `test/tiers/run.ts` when nothing is left out of its run. */
const WHOLE = "SECRET_SEARCH_TIER";

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
    const searched: Counts = {
      places: entries.length,
      files: sum(({ files }) => files),
      texts: sum(({ texts }) => texts),
      secrets: sum(({ secrets }) => secrets),
    };
    const faults = entries.flatMap(({ what, leaks }) => leaks.map((leak) => `${leak}, after ${what}`));
    const least: Partial<Counts> = LEAST[process.env[WHOLE] as TierName] ?? {};
    for (const [key, count] of Object.entries(least) as [keyof Counts, number][]) {
      if (searched[key] < count) faults.push(`only ${searched[key]} ${key} were searched, not ${count}`);
    }
    const words = Object.entries(searched).map(([key, count]) => `${count} ${key}`);
    console.log(`Searched for secrets: ${words.join(", ")}; ${faults.length} faults.`);
    if (faults.length > 0) throw new Error(`the search for secrets failed:\n  ${faults.join("\n  ")}`);
  };
}
