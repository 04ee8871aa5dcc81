import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import { exactVersion, parsePackages } from "../../src/packages/package-spec.ts";

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
