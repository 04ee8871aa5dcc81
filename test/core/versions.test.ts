import { expect, it } from "vitest";
import { compareVersions, satisfiesDependency, satisfiesEngine } from "../../src/core/versions.ts";

it("orders versions", () => {
  const order = [
    "0.0.9",
    "0.1.0-alpha",
    "0.1.0-beta.2",
    "0.1.0-beta.11",
    "0.1.0",
    "0.2.0",
    "0.10.0",
    "1.0.0",
    "99.0.0",
  ];
  const shuffled = [...order].sort(() => 1).reverse();
  expect(shuffled.sort(compareVersions)).toEqual(order);
  expect(compareVersions("0.1.0", "0.1.0+build")).toBe(0);
});

it.each(["", "dev", "1.2", "v"])("counts %j, which is not a version, as the oldest", (text) => {
  expect(compareVersions(text, "0.0.1")).toBeLessThan(0);
  expect(compareVersions("0.0.1", text)).toBeGreaterThan(0);
  expect(compareVersions(text, "0.0.0")).toBe(0);
});

it.each([
  ["1.2.3", "*", true],
  ["1.2.3", "", true],
  ["1.2.3", "x", true],
  ["1.2.3", "1.2.3", true],
  ["1.2.3", "=1.2.3", true],
  ["1.2.3", "v1.2.3", true],
  ["1.2.4", "1.2.3", false],
  ["1.9.0", "1", true],
  ["2.0.0", "1.x", false],
  ["1.2.9", "1.2.*", true],
  ["1.9.9", "^1.2.3", true],
  ["1.2.2", "^1.2.3", false],
  ["2.0.0", "^1.2.3", false],
  ["0.2.9", "^0.2.3", true],
  ["0.3.0", "^0.2.3", false],
  ["0.0.3", "^0.0.3", true],
  ["0.0.4", "^0.0.3", false],
  ["0.0.9", "^0.0", true],
  ["0.9.0", "^0", true],
  ["1.2.9", "~1.2.3", true],
  ["1.3.0", "~1.2.3", false],
  ["1.9.0", "~1", true],
  ["24.21.0", "^18.17.0 || ^20.3.0 || >=21.0.0", true],
  ["19.0.0", "^18.17.0 || ^20.3.0 || >=21.0.0", false],
  ["18.0.0", ">= 18", true],
  ["2.0.0", ">1", true],
  ["1.9.0", ">1", false],
  ["1.9.9", ">=1.2 <2", true],
  ["2.0.0", ">=1.2 <2", false],
  ["1.2.9", "<=1.2", true],
  ["2.9.0", "1.2 - 2", true],
  ["3.0.0", "1.2 - 2", false],
  // Only `*` takes every pre-release; other ranges take those of the versions that they name.
  ["1.0.0-rc.1", "^1.0.0-rc.1", true],
  ["1.0.0-rc.2", "^1.0.0-rc.1", true],
  ["1.0.1-rc.1", "^1.0.0-rc.1", false],
  ["1.0.0-rc.1", "^1.0.0", false],
  ["1.0.0-rc.1", ">=0.9.0", false],
  ["1.0.0-rc.1", "x", false],
  ["1.0.0-rc.1", "*", true],
  ["1.0.0-rc.1", " * ", true],
  ["1.0.0-rc.1", "", true],
  ["1.0.0", "^1.0.0-rc.1", true],
  ["1.4.0", ">=1.0.0-rc.1 <2.0.0-0", true],
  ["2.0.0", "<2.0.0-0", false],
  // npm reads ranges loosely, but takes no number after an x.
  ["1.2.3", "1.x.3", false],
  ["1.2.3", ">=01.2.3", true],
  ["1.2.3-beta", "1.2.3beta", true],
  // No ranges.
  ["1.2.3", "latest", false],
  ["1.2.3", "https://example.com/a.tgz", false],
  ["1.2", "1", false],
])("%s is taken for a dependency on %j: %s", (version, range, expected) => {
  expect(satisfiesDependency(version, range)).toBe(expected);
});

it.each([
  ["24.21.0", ">=22", true],
  ["20.0.0", ">=22", false],
  ["24.0.0-rc.1", ">=22", true],
  ["24.0.0-rc.1", ">=24", true],
  ["24.0.0-rc.1", "24.0.0", false],
  ["24.0.0", "", true],
  ["24.0.0", "whatever", false],
])("Node %s is taken for engines %j: %s", (version, range, expected) => {
  expect(satisfiesEngine(version, range)).toBe(expected);
});
