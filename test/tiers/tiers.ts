/** The tiers of the tests: what each runs, what it needs and about how long it takes. README and `vitest.config.ts` follow this table. */

/** A tier's name: its vitest project, and the suffix of its files (`x.e2e.test.ts`; without one, a file is of `unit`). */
export type TierName = "check" | "unit" | "e2e" | "system" | "long";

/** One tier. */
export interface Tier {
  /** What it runs. */
  summary: string;
  /** How long that takes on 2 cores, in words. */
  duration: string;
  /** Commands that have to succeed before the tests; each is a program of `node_modules/.bin` and its arguments. */
  commands?: readonly (readonly string[])[];
  /** What it installs on the machine, or needs there. */
  needs: string;
  /** How many test files run at the same time. */
  workers: number;
}

/** Every tier, the fastest first. */
export const TIERS: Record<TierName, Tier> = {
  check: {
    summary: "lint, types, architecture, and the docs against the code",
    duration: "15 seconds",
    commands: [
      ["biome", "check", "."],
      ["tsc", "--noEmit"],
    ],
    needs: "Node",
    workers: 2,
  },
  unit: {
    summary: "everything that needs Node alone",
    duration: "a minute",
    needs: "Node",
    workers: 2,
  },
  e2e: {
    summary: "the real line: platform, image, deploy, gateway, secrets, with samples of kills and faults",
    duration: "3 minutes",
    needs: "Node",
    workers: 2,
  },
  system: {
    summary: "real container engines, registries and browsers",
    duration: "8 minutes",
    needs: "Docker, Podman, a registry, Chromium and others: test/tiers/system-programs.sh",
    // Half of its time the container engines wait for the kernel.
    workers: 4,
  },
  long: {
    summary: "cuts at every third byte, every kill point, 100,000 inputs; STRESS=1 does more",
    duration: "10 minutes",
    needs: "what the system tier needs",
    workers: 3,
  },
};

/** Environment variable with the name of the tier under way; `vitest.config.ts` sets it. */
export const TIER_VARIABLE = "TEST_TIER";
