import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { removeTree, removeTreeSync } from "../../src/core/remove-tree.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

/** What no plain removal takes: closed against its own user, and deeper than a path may be long. */
const STUBBORN = `mkdir -p closed/inner && touch closed/inner/file && chmod 500 closed/inner && chmod 500 closed
i=0; while [ $i -lt 60 ]; do mkdir -p ${"d".repeat(200)} && cd -P ${"d".repeat(200)} || exit 1; i=$((i+1)); done; touch end`;

it.each([
  ["removeTree", removeTree],
  ["removeTreeSync", removeTreeSync],
])("%s removes everything, and nothing that a link in it names", async (_, remove) => {
  const dir = temporaryDirectory();
  const [tree, other] = [join(dir, "it's a tree"), join(dir, "other")];
  for (const each of [tree, other]) mkdirSync(each);
  writeFileSync(join(other, "file"), "");
  symlinkSync(other, join(tree, "link"));
  execFileSync("/bin/sh", ["-c", STUBBORN], { cwd: tree });
  await remove(tree);
  expect(existsSync(tree)).toBe(false);
  expect(existsSync(join(other, "file"))).toBe(true);
  await remove(tree); // and once more is no fault
});
