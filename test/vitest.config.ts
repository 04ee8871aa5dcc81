import { defineConfig } from "vitest/config";

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
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/support/secret-ledger.ts"],
  },
});
