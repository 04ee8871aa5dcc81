import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import {
  exactVersion,
  LOCKED_PATH,
  packageNameOf,
  parsePackages,
  parseSpec,
  splitSpec,
} from "../../src/packages/package-spec.ts";

function faultsOf(list: string[]) {
  try {
    parsePackages(list);
  } catch (error) {
    if (isAppctlError(error)) return error.faults;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parsePackages", () => {
  it("reads names and ranges, in order of the names", () => {
    expect(parsePackages(["zod", " hono@4.13.19 ", "@hono/node-server@^2", "JSONStream"])).toEqual([
      { name: "@hono/node-server", range: "^2" },
      { name: "JSONStream" },
      { name: "hono", range: "4.13.19" },
      { name: "zod" },
    ]);
  });

  it.each([
    "1",
    "1.2",
    "v1.2.3",
    "=1.2.3",
    "~1.2",
    "^1.2.3-rc.1",
    ">=1 <2",
    ">= 1.0.0",
    "1 - 2",
    "^1 || ^2",
    "1.x",
    "*",
    "latest",
    "next-14",
  ])("takes %j after the @", (range) => expect(parsePackages([`a@${range}`])).toEqual([{ name: "a", range }]));

  it("names every entry that is not valid, with what to write instead", () => {
    const faults = faultsOf(["hono==4.1", "a@==4.1", "zod", "b@", "c@1.2.3.4", "!", "@scope", "c@^^1", ""]);
    expect(faults.map(({ path }) => path)).toEqual(
      [0, 1, 3, 4, 5, 6, 7, 8].map((i) => `containerImage.packages[${i}]`),
    );
    expect(faults[0]?.hint).toBe("a version goes after an @: hono@1.2.3");
    expect(faults[1]?.message).toContain("npm pins with one @, not with ==");
  });

  it.each([
    ["git+ssh://git@host/x.git", "git"],
    ["a@git+https://u:secret@host/x.git", "git"],
    ["user/repo", "git"],
    ["a@github:user/repo", "git"],
    ["https://u:secret@host/x.tgz", "URL"],
    ["a@https://host/x.tgz", "URL"],
    ["./local", "file"],
    ["../local", "file"],
    ["/abs", "file"],
    ["a@file:../a", "file"],
    ["a@workspace:*", "file"],
    ["a@npm:b@1", "alias"],
  ])("refuses %s as %s, without its credentials", (text, what) => {
    const [fault] = faultsOf([text]);
    expect(fault?.message).toContain(what);
    expect(fault?.message).not.toContain("secret");
  });

  it("refuses two pins of one package and takes one that is there twice", () => {
    expect(faultsOf(["a@1", "a@2"])).toHaveLength(1);
    expect(parsePackages(["a@1", "a@1"])).toEqual([{ name: "a", range: "1" }]);
  });
});

it("exactVersion", () => {
  expect(["1.2.3", "=1.2.3", "v1.2.3-rc.1", "^1.2.3", "1.2", "latest", undefined].map(exactVersion)).toEqual([
    "1.2.3",
    "1.2.3",
    "1.2.3-rc.1",
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

it.each([
  ["hono", { name: "hono" }],
  [" hono@4.13.19 ", { name: "hono", range: "4.13.19" }],
  ["@scope/x@^1.2", { name: "@scope/x", range: "^1.2" }],
  ["a@>=1 <2 || 3", { name: "a", range: ">=1 <2 || 3" }],
  ["JSONStream@latest", { name: "JSONStream", range: "latest" }],
  ["a@", undefined],
  ["a @1", undefined],
  ["", undefined],
  ["@scope", undefined],
  ["./a", undefined],
  ["a/b", undefined],
  ["a@npm:b@1", undefined],
  ["a@https://host/x.tgz", undefined],
  ["a@1@2", undefined],
  ["a".repeat(214), { name: "a".repeat(214) }],
  ["a".repeat(215), undefined],
])("parseSpec reads %j", (text, spec) => expect(parseSpec(text)).toEqual(spec));

it.each([
  ["a@npm:b@1", { name: "a", range: "npm:b@1" }],
  ["@s/a@workspace:.", { name: "@s/a", range: "workspace:." }],
  ["@s/a", { name: "@s/a" }],
  ["", { name: "" }],
])("splitSpec splits %j", (text, spec) => expect(splitSpec(text)).toEqual(spec));

it.each([
  ["hono/factory", "hono"],
  ["@hono/node-server/serve-static", "@hono/node-server"],
  ["@hono", undefined],
  ["fs/promises", undefined],
  ["node:fs", undefined],
  ["./hono", undefined],
  ["#alias", undefined],
])("packageNameOf(%j) is %j", (path, name) => expect(packageNameOf(path)).toBe(name));

it.each([
  ["node_modules/a", true],
  ["node_modules/@s/a/node_modules/_b", true],
  ["node_modules/A.b~c", true],
  ["a", false],
  ["node_modules/../a", false],
  ["node_modules/a/b", false],
  ["node_modules/a/node_modules/", false],
])("%s is a path of a lock: %s", (path, is) => expect(LOCKED_PATH.test(path)).toBe(is));
