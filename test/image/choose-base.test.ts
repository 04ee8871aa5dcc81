import { describe, expect, it } from "vitest";
import type { LoadedApp } from "../../src/app/validate.ts";
import { baseOf, requireBase } from "../../src/image/choose-base.ts";
import { parseImageName } from "../../src/oci/registry/image-name.ts";

/** An app whose image says `options`. */
const app = (options: object) => ({ image: options, spec: { name: "web" } }) as unknown as LoadedApp;

describe("the base of an image", () => {
  it.each<[string, object, string | undefined, string | undefined]>([
    ["is Node's when nobody names one", {}, undefined, "node:24-slim"],
    ["has the Node that is asked for", { nodeVersion: "22.19.0" }, undefined, "node:22.19.0-slim"],
    ["is the configured one", {}, "mirror.test/base@sha256:ab", "mirror.test/base@sha256:ab"],
    ["has that Node in the configured one, too", { nodeVersion: "26" }, "m.test/n:{nodeVersion}-x", "m.test/n:26-x"],
    ["has the usual Node there", {}, "m.test/n:{nodeVersion}", "m.test/n:24"],
    ["is the image's own before all", { baseImage: "own:1" }, "m.test/n:1", "own:1"],
    ["is none for scratch", { baseImage: "scratch" }, "m.test/n:1", undefined],
    ["is none for a configured scratch", {}, "scratch", undefined],
  ])("%s", (_, options, configured, base) => {
    expect(baseOf(app(options), configured)).toBe(base);
  });

  it("is a name that a registry knows, on Docker Hub", () => {
    expect(parseImageName(baseOf(app({}), undefined) ?? "")).toMatchObject({
      host: "docker.io",
      repository: "library/node",
      tag: "24-slim",
    });
  });

  it("is refused when it cannot have the Node that is asked for", () => {
    const faulty = () => baseOf(app({ nodeVersion: "26" }), "mirror.test/base:1");
    expect(faulty).toThrow(
      /web asks for Node 26, and the configured base image mirror.test\/base:1 has no place for it/,
    );
    expect(faulty).toThrow(expect.objectContaining({ code: "NODE_VERSION_UNUSED", exit: 2 }));
  });

  it("is asked for where apps run in containers", () => {
    expect(() => requireBase(app({}), undefined)).not.toThrow();
    expect(() => requireBase(app({}), "scratch")).toThrow(expect.objectContaining({ code: "NO_BASE_IMAGE", exit: 2 }));
  });
});
