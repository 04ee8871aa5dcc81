/** Runs cases on an engine inside a run of the suite, whose own set-up is around it already. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: new URL("../../..", import.meta.url).pathname,
    include: ["test/engine/nested/*.contract.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    pool: "forks",
    setupFiles: ["test/setup.ts"],
  },
});
