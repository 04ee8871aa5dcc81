import { describe, expect, it } from "vitest";
import { parseRegistryAddress } from "../../../src/core/registry-address.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { apiOrigin, imageNameText, parseImageName } from "../../../src/oci/registry/image-name.ts";

const digest = digestOf("x");

describe("the name of an image", () => {
  it.each([
    ["ghcr.io/org/name:1.2", { host: "ghcr.io", plain: false, repository: "org/name", tag: "1.2" }],
    ["ghcr.io/org/name", { host: "ghcr.io", plain: false, repository: "org/name", tag: "latest" }],
    [`ghcr.io/org/name@${digest}`, { host: "ghcr.io", plain: false, repository: "org/name", digest }],
    [`ghcr.io/org/name:t@${digest}`, { host: "ghcr.io", plain: false, repository: "org/name", tag: "t", digest }],
    ["localhost:5000/a", { host: "localhost:5000", plain: true, repository: "a", tag: "latest" }],
    ["localhost/a:b", { host: "localhost", plain: true, repository: "a", tag: "b" }],
    ["127.0.0.1:5000/a/b:c", { host: "127.0.0.1:5000", plain: true, repository: "a/b", tag: "c" }],
    ["[::1]:5000/a:b", { host: "[::1]:5000", plain: true, repository: "a", tag: "b" }],
    ["https://localhost:5000/a:b", { host: "localhost:5000", plain: false, repository: "a", tag: "b" }],
    ["http://10.0.0.1:5000/a:b", { host: "10.0.0.1:5000", plain: true, repository: "a", tag: "b" }],
    ["10.0.0.1:5000/a:b", { host: "10.0.0.1:5000", plain: false, repository: "a", tag: "b" }],
    ["node:22-slim", { host: "docker.io", plain: false, repository: "library/node", tag: "22-slim" }],
    ["docker.io/node", { host: "docker.io", plain: false, repository: "library/node", tag: "latest" }],
    ["grafana/grafana", { host: "docker.io", plain: false, repository: "grafana/grafana", tag: "latest" }],
  ])("%s", (text, expected) => {
    expect(parseImageName(text)).toEqual(expected);
  });

  it.each([
    "",
    "ghcr.io/",
    "ghcr.io/Org/name",
    "ghcr.io/a:b c",
    "a@sha256:12",
    `a@${digest}@${digest}`,
    "a:",
    "a//b",
    "a/../b",
  ])("%j is none, and it says why", (text) => {
    expect(() => parseImageName(text)).toThrow(
      expect.objectContaining({
        code: "INVALID_IMAGE_NAME",
        message: expect.stringContaining("is not the name of an image: "),
      }),
    );
  });

  it.each([
    "my:tag/x",
    "localhost:99999/a",
    "localhost:0/a",
    "[1:2]:5000/a",
    "1.2.3.999/a",
    "h.test:/a",
    "-h.test/a",
    "h?.test/a",
  ])("%j has a host that is none, and it says so", (text) => {
    const host = text.slice(0, text.indexOf("/"));
    expect(() => parseImageName(text)).toThrow(
      expect.objectContaining({
        code: "INVALID_IMAGE_NAME",
        message: expect.stringContaining(`"${host}" is not the host of a registry: `),
      }),
    );
  });

  it.each(["http://ann:open sesame@h.test/a", "ann:open sesame@h.test/a"])(
    "%j has a password in it, and shows it not",
    (text) => {
      expect(() => parseImageName(text)).toThrow(
        expect.objectContaining({
          message: expect.not.stringContaining("sesame"),
          hint: expect.stringContaining("docker login"),
        }),
      );
    },
  );

  it("is written as container engines write it", () => {
    expect(imageNameText(parseImageName("node"))).toBe("docker.io/library/node:latest");
    expect(imageNameText(parseImageName(`http://h.test/a:b@${digest}`))).toBe(`h.test/a:b@${digest}`);
  });

  it("says where the API is", () => {
    expect(apiOrigin(parseImageName("node"))).toBe("https://registry-1.docker.io");
    expect(apiOrigin(parseImageName("localhost:5000/a"))).toBe("http://localhost:5000");
  });
});

describe("the address of a registry", () => {
  it.each([
    ["ghcr.io", { host: "ghcr.io", plain: false, prefix: "" }],
    ["ghcr.io/my-org/", { host: "ghcr.io", plain: false, prefix: "my-org" }],
    ["localhost:5000/a/b", { host: "localhost:5000", plain: true, prefix: "a/b" }],
    ["https://127.0.0.1:5000", { host: "127.0.0.1:5000", plain: false, prefix: "" }],
    ["http://registry.lan", { host: "registry.lan", plain: true, prefix: "" }],
    ["localhost.example.com", { host: "localhost.example.com", plain: false, prefix: "" }],
  ])("%s", (text, expected) => {
    expect(parseRegistryAddress(text)).toEqual(expected);
  });

  it.each([
    "",
    "my-org",
    "ftp://h.test",
    "h.test/Org",
    "h.test?x",
    "user:pw@h.test",
    "h.test/a:tag",
    "localhost:99999",
    "http://localhost:65536/a",
    "[1:2]:5000",
    "1.2.3.999",
  ])("%j is none", (text) => {
    expect(parseRegistryAddress(text)).toBeUndefined();
  });
});
