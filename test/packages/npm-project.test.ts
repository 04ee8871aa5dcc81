import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { findNpmProject } from "../../src/packages/npm-project.ts";
import { folder } from "../image/support.ts";

async function project(files: Record<string, unknown>): Promise<string> {
  const dir = await folder();
  for (const [path, value] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), typeof value === "string" ? value : JSON.stringify(value));
  }
  return dir;
}

const lock = (packages: Record<string, unknown>) => ({ lockfileVersion: 3, packages: { "": {}, ...packages } });

it("finds .npmrc and lock file above the app, up to package.json", async () => {
  const dir = await project({
    "p/package.json": {},
    "p/.npmrc": "x=1",
    "p/package-lock.json": lock({
      "node_modules/a": { version: "1.0.0" },
      "node_modules/b/node_modules/a": { version: "2.0.0" },
      "node_modules/@s/c": { version: "3.0.0" },
      "node_modules/g": { version: "git+ssh://x#1" },
      "node_modules/w": { link: true },
    }),
    "p/src/app.ts": "",
    ".npmrc": "y=1",
  });
  const found = await findNpmProject(join(dir, "p/src"));
  expect(found.npmrc).toBe(join(dir, "p/.npmrc"));
  expect(found.lock?.file).toBe(join(dir, "p/package-lock.json"));
  expect([...(found.lock?.versions ?? [])]).toEqual([
    ["a", "1.0.0"],
    ["@s/c", "3.0.0"],
  ]);
});

it("takes nothing from a project further up", async () => {
  const dir = await project({ ".npmrc": "", "package.json": {}, "package-lock.json": lock({}), "p/package.json": {} });
  expect(await findNpmProject(join(dir, "p"))).toEqual({ npmrc: undefined, lock: undefined, warnings: [] });
});

it("takes lock file and .npmrc of the workspace that the project belongs to", async () => {
  const dir = await project({
    ".npmrc": "",
    "package.json": {},
    "package-lock.json": lock({
      "p/q": {},
      "node_modules/a": { version: "1.0.0" },
      "node_modules/b": { version: "1.0.0" },
      "p/q/node_modules/a": { version: "2.0.0" },
    }),
    "p/q/package.json": {},
  });
  const found = await findNpmProject(join(dir, "p/q"));
  expect(found.npmrc).toBe(join(dir, ".npmrc"));
  expect(Object.fromEntries(found.lock?.versions ?? [])).toEqual({ a: "2.0.0", b: "1.0.0" });
});

it("prefers the shrinkwrap, reads version 1, and warns of a lock file that is none", async () => {
  const old = await project({
    "npm-shrinkwrap.json": { dependencies: { a: { version: "1.2.3" } } },
    "package-lock.json": lock({}),
  });
  expect([...((await findNpmProject(old)).lock?.versions ?? [])]).toEqual([["a", "1.2.3"]]);
  const broken = await project({ "package-lock.json": "<<<<<<< HEAD", "package.json": {} });
  const found = await findNpmProject(broken);
  expect(found.lock).toBeUndefined();
  expect(found.warnings).toEqual([expect.stringContaining(join(broken, "package-lock.json"))]);
});
