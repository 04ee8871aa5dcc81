import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { countCrash } from "../../src/platform/apps/crash-count.ts";

it("a deployment is given up at the third crash in a row at which it was open", () => {
  const dir = mkdtempSync(join(tmpdir(), "crashes-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "crashes.json");
  const crash = (...open: string[]) => [...countCrash(file, open, true)];
  expect(crash("1/1")).toEqual([]);
  expect(crash("1/1", "2/1")).toEqual([]);
  expect(crash("1/1", "2/1")).toEqual(["1/1"]);
  expect(crash("2/1")).toEqual(["2/1"]);
  // One that was not open in between begins again, and an orderly start ends the count.
  expect(crash("1/1")).toEqual([]);
  expect([...countCrash(file, ["1/1"], false)]).toEqual([]);
  expect(existsSync(file)).toBe(false);
  expect(crash("1/1")).toEqual([]);
});
