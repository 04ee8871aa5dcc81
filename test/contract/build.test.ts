import { expect, it } from "vitest";
import { BuildRequest } from "../../src/contract/remote-build.ts";

const request = (paths: string[]) => ({
  name: "x",
  packages: [],
  env: {},
  copy: paths.map((path) => ({ path, digest: `sha256:${"0".repeat(64)}`, size: 0, executable: false })),
});
const faults = (paths: string[]) =>
  BuildRequest.safeParse(request(paths)).error?.issues.map(({ path, message }) => [path[1], message]) ?? [];

it("files lie side by side, in any order", () => {
  expect(faults(["a/c", "ab", "a-b", "a/b/c", "a/b-c", "a!", "é/a"])).toEqual([]);
  expect(faults(["a/b/c", "a-b", "x", "a", "x", "a!/b"])).toEqual([
    [0, "is below a, which is a file"],
    [4, "has x again"],
  ]);
});

it("many paths of many folders are looked at in a moment: the platform answers nobody else meanwhile", () => {
  const paths = Array.from({ length: 2000 }, (_, index) => `${index}${"/a".repeat(2040)}`);
  const began = performance.now();
  expect(faults(paths)).toEqual([]);
  // A fraction of a second; with every folder of every path by itself it was more than ten.
  expect(performance.now() - began).toBeLessThan(4000);
});
