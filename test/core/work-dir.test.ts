import { existsSync, mkdirSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { makeSystemWorkDir, removeLeftSystemWork } from "../../src/core/work-dir.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

it("removes what killed commands left a while ago, and nothing else", () => {
  vi.stubEnv("TMPDIR", temporaryDirectory());
  const old = new Date(Date.now() - 3600_000);
  const aged = (path: string) => {
    utimesSync(path, old, old);
    return path;
  };
  const left = (["bundle", "describe"] as const).map((kind) => makeSystemWorkDir(kind));
  for (const dir of left) writeFileSync(join(dir, "bundle.mjs"), "");
  left.forEach(aged);
  const recent = makeSystemWorkDir("describe");
  expect(statSync(recent).mode & 0o777).toBe(0o700);
  const [others, file] = ["appctl-bundle-of-mine", "appctl-bundle-abcdef"].map((name) => join(tmpdir(), name));
  mkdirSync(others as string);
  aged(others as string);
  writeFileSync(file as string, "");
  aged(file as string);
  const dirs = left.map((dir) => realpathSync(dir));
  removeLeftSystemWork(Date.now() - 60_000);
  expect([...dirs, recent, others, file].map((path) => existsSync(path as string))).toEqual([
    ...[false, false],
    ...[true, true, true],
  ]);
  rmSync(recent, { recursive: true });
});
