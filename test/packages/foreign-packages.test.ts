import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { foreignPackages } from "../../src/packages/foreign-packages.ts";
import { emptyLock, type LockEntry, type PackageLock } from "../../src/packages/lockfiles/package-lock.ts";

const lock = (packages: Record<string, LockEntry>): PackageLock => ({ ...emptyLock().lock, packages });
const faults = (packages: Record<string, LockEntry>) =>
  foreignPackages(lock(packages), "containerImage.packages").map(({ message }) =>
    message.replace(/: the platform.*/, ""),
  );
const entry = (more: LockEntry = {}) => ({ "node_modules/a": { version: "1.0.0", ...more } });

describe("a lock of packages from registries", () => {
  it("is one that npm wrote for a real project", () => {
    const file = join(import.meta.dirname, "..", "..", "package-lock.json");
    const { packages } = JSON.parse(readFileSync(file, "utf8"));
    expect(Object.keys(packages).length).toBeGreaterThan(100);
    expect(faults(packages)).toEqual([]);
  });

  it.each([
    ["", "*", "x", "1.x", "latest", "next-14", "^3.0.0-0", "1.0.0-beta.2+build.5", ">= 2.1.2 < 3", "~1.2 || ^2 || 3"],
    ["npm:string-width@^4.2.0", "npm:@scope/name@1", "npm:other", "https://example.com/a-1.0.0.tgz"],
  ])("may ask for %j and the like", (...specs) => {
    for (const spec of specs) expect([spec, faults(entry({ dependencies: { b: spec } }))]).toEqual([spec, []]);
  });

  it("has packages of any place below node_modules, under other names, from any address", () => {
    expect(
      faults({
        "": { dependencies: { b: "npm:@s/c@1" }, overrides: { a: "$b", "d@1": { ".": "2", e: "npm:f@3" } } },
        "node_modules/@s/x.y_z": { version: "1.0.0-rc.1+b", resolved: "http://127.0.0.1:4873/x/-/x-1.0.0.tgz" },
        "node_modules/@s/x.y_z/node_modules/b": {
          name: "@s/c",
          version: "1.0.0",
          resolved: "https://r.test/download/1",
        },
      }),
    ).toEqual([]);
  });
});

describe("a lock that leads elsewhere", () => {
  it.each([
    [
      "../x",
      "/etc",
      "~/x",
      ".",
      "./x.tgz",
      "x.tgz",
      "x.tar.gz",
      "x.tar",
      "C:\\x",
      "file:x",
      "file:///etc",
      "link:../x",
    ],
    ["git+ssh://h/x.git", "git@github.com:u/r.git", "u/r", "github:u/r", "gist:1", "https://github.com/u/r"],
    ["workspace:*", "portal:../x", "patch:a@1#x", "npm:a@file:x", "npm:../x", "https://gitlab.com/u/r/-/x.git"],
  ])("is one that asks for %j and the like", (...specs) => {
    for (const spec of specs) {
      for (const kind of ["dependencies", "optionalDependencies", "peerDependencies"] as const)
        expect([spec, faults(entry({ [kind]: { b: spec } }))]).toEqual([
          spec,
          [`a asks for b as ${JSON.stringify(spec)}`],
        ]);
      expect([spec, faults({ "": { overrides: { a: { b: spec } } } })[0]]).toEqual([
        spec,
        "the overrides name such a place",
      ]);
    }
  });

  it.each<[string, LockEntry]>([
    ['a is "file:../x"', { resolved: "file:../x" }],
    ['a is "../x.tgz"', { resolved: "../x.tgz" }],
    ['a is "git+https://***@h/x.git#1"', { resolved: "git+https://u:secret@h/x.git#1" }],
    ['a is "https://github.com/u/r"', { resolved: "https://github.com/u/r" }],
    ["a is 5", { resolved: 5 as never }],
    ["a is a link", { resolved: "x", link: true }],
    ['a has the version "file:../x"', { version: "file:../x" }],
    ['a has the version "^1.0.0"', { version: "^1.0.0" }],
    ["a has the version nothing", { version: undefined as never }],
    ['"../x" is no name of a package', { name: "../x" }],
    ["a has a shrinkwrap", { hasShrinkwrap: true }],
    // npm takes anything but false for true.
    ["a has a shrinkwrap", { hasShrinkwrap: 1 as never, resolved: "https://r.test/a.tgz" }],
  ])("is one in which %s", (message, more) => {
    expect(faults(entry(more))).toEqual([message]);
  });

  it.each(["node_modules/../x", "x", "../node_modules/x", "node_modules/a/b", "node_modules/a/node_modules/..", "/x"])(
    "is one with a package at %s",
    (place) => {
      expect(faults({ [place]: { version: "1.0.0" } })).toEqual([`"${place}" is no place of a package`]);
    },
  );

  it("has a fault for each", () => {
    expect(faults({ ...entry({ resolved: "file:x" }), "node_modules/b": { version: "file:x" } })).toHaveLength(2);
  });
});
