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

it("makes what is mounted into containers again at each start, and leaves what processes run from", () => {
  const dirs = contentDirs({ state, shared: undefined });
  expect(dirs).toContain(mountedDir(state));
  for (const dir of dirs) {
    for (const name of ["a".repeat(64), ".tmp"]) {
      mkdirSync(join(dir, name), { recursive: true });
      writeFileSync(join(dir, name, "file"), "");
    }
  }
  writeFileSync(join(state, "boot"), "first");
  removeLeftovers({ state, shared: undefined }, "first");
  expect(existsSync(mountedDir(state))).toBe(false);
  for (const dir of dirs.filter((each) => each !== mountedDir(state))) {
    expect(existsSync(join(dir, "a".repeat(64), "file"))).toBe(true);
    expect(existsSync(join(dir, ".tmp", "file"))).toBe(false);
  }
});

it("unpacks everything again after the machine was started again: what a loss of power took is not missed", () => {
  const paths = { state: join(state, "state"), shared: join(state, "shared") };
  mkdirSync(join(paths.shared, "apps", "user"), { recursive: true });
  const dirs = contentDirs(paths).filter((dir) => dir !== mountedDir(paths.state));
  expect(dirs).toContain(join(paths.shared, "apps", "user"));
  const unpack = () => {
    for (const dir of dirs) {
      for (const name of ["a".repeat(64), "else"]) mkdirSync(join(dir, name), { recursive: true });
    }
  };
  const left = (name: string) => dirs.filter((dir) => existsSync(join(dir, name)));
  for (const [boot, stays] of [
    ["first", false], // nobody knows of when it is
    ["first", true],
    ["second", false],
    ["", true], // a system that does not say
    ["second", true],
  ] as const) {
    unpack();
    removeLeftovers(paths, boot);
    expect([boot, left("a".repeat(64))]).toEqual([boot, stays ? dirs : []]);
    expect(left("else")).toEqual(dirs);
  }
});
