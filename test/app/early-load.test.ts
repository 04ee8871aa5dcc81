/** Which file a command line will load, told before it is understood. */
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fileToLoad } from "../../src/app/early-load.ts";
import { project, temporaryDirectory } from "./helpers.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ dir: cwd, remove } = await temporaryDirectory());
  await project(cwd, { "app.ts": "", "below/build.mjs": "", "notes.txt": "", "folder.ts/x": "" });
});
afterAll(() => remove());

it.each([
  ["deploy apps app.ts", "app.ts"],
  ["deploy app app.ts web", "app.ts"],
  ["deploy app.ts web", "app.ts"],
  ["deploy apps --registry host/x -o json app.ts web", "app.ts"],
  ["-o json --project p deploy apps app.ts", "app.ts"],
  ["build app.ts", "app.ts"],
  ["build --push below/build.mjs web", "below/build.mjs"],
  ["deploy apps missing.ts app.ts", "app.ts"],
])("%s: %s", (line, file) => {
  expect(fileToLoad(line.split(" "), cwd)).toBe(file);
});

it("takes an absolute name", () => {
  expect(fileToLoad(["build", join(cwd, "app.ts")], "/")).toBe(join(cwd, "app.ts"));
});

it("leaves what cannot be looked at to who loads it", async () => {
  await symlink("loop.ts", join(cwd, "loop.ts"));
  for (const name of ["loop.ts", `${"x".repeat(300)}.ts`, "app.ts/x.ts"]) {
    expect(fileToLoad(["build", name], cwd)).toBeUndefined();
  }
});

it.each([
  "deploy apps app.ts --help",
  "build app.ts -h",
  "help deploy apps app.ts",
  "deploy apps missing.ts",
  "deploy apps notes.txt",
  "deploy apps folder.ts",
  "get apps app.ts",
  "deploy",
  "apps app.ts",
])("none of: %s", (line) => {
  expect(fileToLoad(line.split(" "), cwd)).toBeUndefined();
});
