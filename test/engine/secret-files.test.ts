import { chownSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { secretFilesRoot } from "../../src/engine/local/process/secret-values.ts";

const memory = "/dev/shm";
const possible = existsSync(memory) && process.getuid?.() === 0;
if (!possible) console.warn("SKIPPED test/engine/secret-files.test.ts: needs root, to make a folder of another user");

it.skipIf(!possible)("does not use, or remove, a folder in shared memory that another user made", () => {
  const name = `appctl-test-${process.pid}`;
  const dir = join(memory, name);
  try {
    expect(secretFilesRoot(name, "/fallback")).toBe(dir);
    expect(secretFilesRoot(name, "/fallback")).toBe(dir);
    chownSync(dir, 65534, 65534);
    expect(secretFilesRoot(name, "/fallback")).toBe("/fallback/secrets");
  } finally {
    rmSync(dir, { recursive: true });
  }
});
