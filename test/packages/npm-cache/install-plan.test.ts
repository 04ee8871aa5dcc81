import { describe, expect, it } from "vitest";
import * as versions from "../../../src/core/versions.ts";
import type { LockEntry, PackageLock } from "../../../src/packages/lockfiles/package-lock.ts";
import { planPackages } from "../../../src/packages/npm-cache/install-plan.ts";
import { LeaveToNpm } from "../../../src/packages/npm-cache/leave-to-npm.ts";

const linux = { os: "linux", cpu: "x64", libc: "glibc" } as const;

/** Entries of version 1.0.0, at their paths below node_modules. */
function lockOf(root: LockEntry, entries: Record<string, LockEntry>): PackageLock {
  const packages = Object.entries(entries).map(([path, entry]): [string, LockEntry] => [
    `node_modules/${path}`,
    { version: "1.0.0", integrity: "sha512-x", ...entry },
  ]);
  return {
    name: "appctl-image",
    lockfileVersion: 3,
    requires: true,
    packages: { "": root, ...Object.fromEntries(packages) },
  };
}
const plan = (lock: PackageLock, nodeVersion: string | undefined = "24.0.0") =>
  planPackages(lock, { platform: linux, host: linux, nodeVersion, versions }).map(({ path }) =>
    path.replace("node_modules/", ""),
  );
const needs = (...names: string[]) => ({ dependencies: Object.fromEntries(names.map((name) => [name, "^1.0.0"])) });
const likes = (...names: string[]) => ({
  optionalDependencies: Object.fromEntries(names.map((name) => [name, "1.0.0"])),
});

describe("the packages that npm would install", () => {
  it("are all of a lock that fits", () => {
    const lock = lockOf(needs("a", "@s/b"), {
      a: needs("c"),
      "@s/b": {},
      c: {},
      "a/node_modules/c": { version: "1.5.0" },
    });
    expect(() => plan(lock)).toThrow("nothing needs");
    expect(plan(lockOf(needs("a", "@s/b", "c"), { a: needs("c"), "@s/b": {}, c: {}, "a/node_modules/c": {} }))).toEqual(
      ["a", "@s/b", "c", "a/node_modules/c"],
    );
  });

  it("are not those for other platforms, nor what only these need", () => {
    const lock = lockOf(needs("tool", "shared"), {
      tool: { ...likes("linux", "mac", "musl", "wasm") },
      linux: { optional: true, os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
      mac: { optional: true, os: ["darwin"], ...needs("shared", "only-mac") },
      "only-mac": { optional: true, ...needs("deeper") },
      deeper: { optional: true, ...needs("only-mac") },
      musl: { optional: true, os: ["linux"], libc: ["musl"] },
      wasm: { optional: true, cpu: ["wasm32"] },
      shared: {},
    });
    expect(plan(lock)).toEqual(["tool", "linux", "shared"]);
  });

  it("are not those that cannot be without a package for another platform", () => {
    const lock = lockOf(
      { ...needs("app"), ...likes("wrapper") },
      { app: likes("wrapper"), wrapper: { optional: true, ...needs("mac") }, mac: { optional: true, os: ["darwin"] } },
    );
    expect(plan(lock)).toEqual(["app"]);
  });

  it("are optional ones only when they go with npm's Node", () => {
    const lock = (node: string) =>
      lockOf(needs("tool"), { tool: likes("native"), native: { optional: true, engines: { node } } });
    expect(plan(lock(">=18"))).toEqual(["tool", "native"]);
    expect(() => plan(lock(">=25"))).toThrow(LeaveToNpm);
    expect(() =>
      planPackages(lock(">=18"), { platform: linux, host: linux, nodeVersion: undefined, versions }),
    ).toThrow(LeaveToNpm);
    // Of others npm only says so.
    expect(plan(lockOf(needs("old"), { old: { engines: { node: ">=99" } } }))).toEqual(["old"]);
  });

  it("are aliases and peers where they are found", () => {
    const lock = lockOf(
      { dependencies: { web: "npm:@real/web@^1.0.0", plugin: "^1.0.0", any: "npm:real-any" } },
      {
        web: { name: "@real/web" },
        any: { name: "real-any", version: "7.0.0" },
        plugin: {
          peerDependencies: { web: "1 || 2", missing: "*" },
          peerDependenciesMeta: { missing: { optional: true } },
        },
      },
    );
    expect(plan(lock)).toEqual(["web", "any", "plugin"]);
  });
});

const odd: [what: string, root: LockEntry, entries: Record<string, LockEntry>][] = [
  ["is missing", needs("a"), { a: needs("b") }],
  ["is missing, though optional", needs("a"), { a: likes("b") }],
  ["is there in another version", needs("a"), { a: { version: "2.0.0" } }],
  ["is there in another version than an alias says", { dependencies: { a: "npm:b@^2" } }, { a: { name: "b" } }],
  ["is asked for by a tag", { dependencies: { a: "latest" } }, { a: {} }],
  ["is asked for by an address", { dependencies: { a: "https://example.com/a.tgz" } }, { a: {} }],
  ["is from git", needs("a"), { a: { resolved: "git+ssh://git@example.com/a.git#1234" } }],
  ["is a file", needs("a"), { a: { resolved: "file:a.tgz" } }],
  ["is a link", needs("a"), { a: { link: true, resolved: "packages/a" } }],
  ["is a workspace", { ...needs("a"), workspaces: ["packages/*"] }, { a: {} }],
  ["is overridden", { ...needs("a"), overrides: { a: "1.0.0" } }, { a: {} }],
  ["has no integrity", needs("a"), { a: { integrity: undefined as unknown as string } }],
  ["has packages in it", needs("a"), { a: { bundleDependencies: ["b"] } }],
  ["is in another one", needs("a"), { a: needs("b"), "a/node_modules/b": { inBundle: true } }],
  ["has a lock of its own", needs("a"), { a: { hasShrinkwrap: true } }],
  ["is needed, and for another system", needs("a"), { a: { os: ["darwin"] } }],
  ["has a peer below itself", needs("a"), { a: { peerDependencies: { b: "*" } }, "a/node_modules/b": {} }],
  [
    "is only somebody's optional peer",
    needs("a"),
    {
      a: { peerDependencies: { b: "*" }, peerDependenciesMeta: { b: { optional: true } } },
      b: {},
    },
  ],
  ["asks for an npm", likes("a"), { a: { optional: true, engines: { npm: ">=3" } } }],
  ["differs from another in case", needs("a", "A"), { a: {}, A: {} }],
  ["lies elsewhere", needs(".."), { "..": {} }],
  ["lies in .bin", needs("a"), { a: {}, ".bin": {} }],
  ["does not fit, like all", likes("a"), { a: { optional: true, os: ["darwin"] } }],
];

it.each(odd)("npm has to judge a lock where a package %s", (_, root, entries) => {
  expect(() => plan(lockOf(root, entries))).toThrow(LeaveToNpm);
});
