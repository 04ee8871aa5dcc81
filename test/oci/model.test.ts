import { expect, it } from "vitest";
import { digestOf, hexOf, isDigest, isDigestHex } from "../../src/oci/model.ts";
import { isRepositoryName } from "../../src/oci/registry/image-name.ts";

const hex = "a1".repeat(32);

it("knows a digest", () => {
  expect(isDigest(`sha256:${hex}`)).toBe(true);
  expect(isDigest(digestOf(Buffer.from("x")))).toBe(true);
  expect(hexOf(`sha256:${hex}`)).toBe(hex);
  expect(isDigestHex(hex)).toBe(true);
});

it.each([
  undefined,
  null,
  5,
  [`sha256:${hex}`],
  "",
  hex,
  `sha512:${hex}`,
  `sha256:${hex.toUpperCase()}`,
  `sha256:${hex}0`,
  `sha256:${hex.slice(1)}`,
  `sha256:${hex}\n`,
  `sha256:${hex.slice(1)}\n`,
  `\nsha256:${hex}`,
])("%j is not a digest", (value) => {
  expect(isDigest(value)).toBe(false);
  if (typeof value === "string") expect(() => hexOf(value)).toThrow("is not a digest");
});

it.each([
  ["a", true],
  ["org/web-app", true],
  ["a.b_c__d--e/f", true],
  ["a".repeat(255), true],
  ["a".repeat(256), false],
  ["A", false],
  ["a..b", false],
  ["a___b", false],
  ["-a", false],
  ["a/", false],
  ["/a", false],
  ["a//b", false],
  ["a:1", false],
  ["", false],
])("the name of a repository: %j: %s", (text, expected) => expect(isRepositoryName(text)).toBe(expected));
