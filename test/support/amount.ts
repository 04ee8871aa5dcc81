/**
 * How much a test with many cases runs: a sample in the fast tiers, everything in the tier `long`, more with `STRESS=1`. A sample
 * differs from run to run; its seed is printed, and `SAMPLE_SEED` repeats it.
 */
import { describe, it } from "vitest";
import { TIER_VARIABLE } from "../tiers/tiers.ts";

/** True in the tier `long`, where nothing is left out. */
export const isLong: boolean = process.env[TIER_VARIABLE] === "long";

/** How many times more than usual is asked for. */
export const stress: number = process.env["STRESS"] === "1" ? 10 : 1;

const seed = Number(process.env["SAMPLE_SEED"] ?? Date.now() % 1_000_000);
if (!Number.isSafeInteger(seed)) throw new Error("SAMPLE_SEED must be a whole number");

/** All of `cases` in the tier `long`; elsewhere `count` of them, spread evenly from a random start. */
export function sampleOf<T>(cases: readonly T[], count: number): T[] {
  if (isLong || cases.length <= count) return [...cases];
  console.log(`a sample of ${count} of ${cases.length} cases (SAMPLE_SEED=${seed})`);
  const step = cases.length / count;
  return Array.from({ length: count }, (_, index) => cases[Math.floor(index * step + seed) % cases.length] as T);
}

const none = (): void => undefined;

/** A test of the tier `long` alone, in a file that runs a sample elsewhere. */
export const itLong = (isLong ? it : Object.assign(none, { each: () => none })) as typeof it;

/** The same for a group of tests. */
export const describeLong = (
  isLong ? describe : Object.assign(none, { skipIf: () => none, each: () => none })
) as typeof describe;
