import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Runs in networks of their own take longest and wait for most of it: with others beside them from the start, less is added. */
class NestedFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isNested = ({ moduleId }: TestSpecification) => moduleId.includes("/engine/nested/");
    return [...sorted.filter(isNested), ...sorted.filter((file) => !isNested(file))];
  }
}

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    // Real processes, sockets and browsers: a slow machine is not a failure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: NestedFirst },
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/support/secret-ledger.ts"],
  },
});
