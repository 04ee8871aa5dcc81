import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { contentDirs, mountedDir, removeLeftovers } from "../../src/platform/leftovers.ts";

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "appctl-leftovers-"));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

it("makes what is mounted into containers anew at each start, and leaves what processes run from", () => {
  const dirs = contentDirs({ state, shared: undefined });
  expect(dirs).toContain(mountedDir(state));
  for (const dir of dirs) {
    for (const name of ["a".repeat(64), ".tmp"]) {
      mkdirSync(join(dir, name), { recursive: true });
      writeFileSync(join(dir, name, "file"), "");
    }
  }
  removeLeftovers({ state, shared: undefined });
  expect(existsSync(mountedDir(state))).toBe(false);
  for (const dir of dirs.filter((each) => each !== mountedDir(state))) {
    expect(existsSync(join(dir, "a".repeat(64), "file"))).toBe(true);
    expect(existsSync(join(dir, ".tmp", "file"))).toBe(false);
  }
});
