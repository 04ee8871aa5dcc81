import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { TIER_VARIABLE, type TierName } from "./test/tiers/tiers.ts";

/** Real processes, sockets and browsers: a slow machine is not a failure. */
const PATIENT = { testTimeout: 120_000, hookTimeout: 120_000 };

/** A tier as a project; a file's tier is in its name (test/tiers/tiers.ts). A `sampled` file runs a part of its cases there, and all in `long`. */
function tier(
  name: TierName,
  include: string[],
  options: { exclude?: string[]; isolate?: boolean; testTimeout: number; hookTimeout: number },
) {
  return { extends: true, test: { name, include, env: { [TIER_VARIABLE]: name }, ...options } } as const;
}

/** The files that take minutes come first: at the end each would run alone. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) =>
      /\/engine\/(?:nested|docker\/docker\.)|\/every-byte\./.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    teardownTimeout: 30_000,
    // A forgotten `it.only` would leave the rest of its file out.
    allowOnly: false,
    sequence: { sequencer: LongestFirst },
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/support/secret-ledger.ts"],
    projects: [
      tier("check", ["test/**/*.check.test.ts"], { testTimeout: 10_000, hookTimeout: 10_000 }),
      tier("unit", ["test/**/*.test.ts"], {
        exclude: ["test/**/*.{check,e2e,system,long}.test.ts"],
        // Nothing waits here: what takes longer belongs to a slower tier. Files share their modules, which are most of the time.
        isolate: false,
        testTimeout: 5000,
        hookTimeout: 10_000,
      }),
      tier("e2e", ["test/**/*.e2e.test.ts"], PATIENT),
      tier("system", ["test/**/*.system.test.ts"], PATIENT),
      tier("long", ["test/**/*.long.test.ts", "test/**/*.sampled.test.ts", "test/**/*.sampled.*.test.ts"], {
        testTimeout: 600_000,
        hookTimeout: 120_000,
      }),
    ],
  },
});
