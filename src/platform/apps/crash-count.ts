/** Counts how often the platform has crashed in a row while a deployment was open: one that ends the platform must not go on for ever. */
import { readFileSync, rmSync } from "node:fs";
import { writeDurably } from "../../core/write-durably.ts";

/** Crashes in a row after which a deployment is given up. */
const MOST = 3;

/**
 * Counts one start of the platform. `file` keeps the counts, `open` names the open deployments. Returns those that are given up:
 * each was open at as many crashes in a row as there may be. `hasCrashed`: the platform before ended unasked.
 */
export function countCrash(file: string, open: readonly string[], hasCrashed: boolean): ReadonlySet<string> {
  if (!hasCrashed || open.length === 0) {
    rmSync(file, { force: true });
    return new Set();
  }
  const before = countsIn(file);
  const counts = Object.fromEntries(open.map((name) => [name, (before[name] ?? 0) + 1]));
  writeDurably(file, JSON.stringify(counts));
  return new Set(open.filter((name) => (counts[name] ?? 0) >= MOST));
}

function countsIn(file: string): Record<string, number> {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {}; // the first crash
  }
}
