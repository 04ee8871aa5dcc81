import { expect, it } from "vitest";
import { LOCKFILE_LIST, LOCKFILE_PATTERN, lockfileNameOf } from "../../src/contract/lockfiles.ts";

it.each([
  ["package-lock.json", "package-lock.json"],
  ["../web/pnpm-lock.yaml", "pnpm-lock.yaml"],
  ["/a/yarn.lock", "yarn.lock"],
  ["bun.lock", "bun.lock"],
  ["bun.lockb", undefined],
  ["my-yarn.lock", undefined],
  ["yarn.lock/", undefined],
  ["constructor", undefined],
  ["", undefined],
])("%j has the name %j", (path, name) => expect(lockfileNameOf(path)).toBe(name));

it("lists the names for messages and for regular expressions", () => {
  expect(LOCKFILE_LIST).toBe("package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock");
  expect(LOCKFILE_PATTERN).toBe("package-lock\\.json|pnpm-lock\\.yaml|yarn\\.lock|bun\\.lock");
});
