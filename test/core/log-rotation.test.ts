import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { rotateLog } from "../../src/core/log-rotation.ts";

const dir = mkdtempSync(join(tmpdir(), "appctl-log-"));
const file = join(dir, "platform.log");
afterAll(() => rmSync(dir, { recursive: true }));

it("puts a log aside when it is larger than the limit, and keeps one", () => {
  rotateLog(file, 3);
  expect(readdirSync(dir)).toEqual([]);

  writeFileSync(file, "one");
  rotateLog(file, 3);
  expect(readdirSync(dir)).toEqual(["platform.log"]);

  writeFileSync(file, "first");
  rotateLog(file, 3);
  writeFileSync(file, "second");
  rotateLog(file, 3);
  expect(readdirSync(dir)).toEqual(["platform.log.1"]);
  expect(readFileSync(`${file}.1`, "utf8")).toBe("second");
});
