import { describe, expect, it } from "vitest";
import { ImageSpec } from "../../src/sdk/index.ts";

describe("ImageSpec's methods", () => {
  const options = {
    name: "n",
    builder: "default" as const,
    packages: ["hono@4.13.19"],
    requirements: "package-lock.json",
    baseImage: "node:24",
    nodeVersion: "24",
    registry: "r",
    env: { A: "1", B: "2" },
    commands: ["make"],
    aptPackages: ["curl"],
    platform: "linux/amd64",
    copy: ["a"],
    entrypoint: ["node"],
    force: false,
  };

  it.each<[string, (spec: ImageSpec) => ImageSpec, object]>([
    ["name", (spec) => spec.withName("m"), { name: "m" }],
    ["packages", (spec) => spec.withPackages("zod", ["a@1", "b"]), { packages: ["hono@4.13.19", "zod", "a@1", "b"] }],
    ["env", (spec) => spec.withEnv({ B: "3", C: "4" }), { env: { A: "1", B: "3", C: "4" } }],
    ["requirements", (spec) => spec.withRequirements("x/bun.lock"), { requirements: "x/bun.lock" }],
    ["baseImage", (spec) => spec.withBaseImage("b"), { baseImage: "b" }],
    ["nodeVersion", (spec) => spec.withNodeVersion("26"), { nodeVersion: "26" }],
    ["registry", (spec) => spec.withRegistry("q"), { registry: "q" }],
    ["builder", (spec) => spec.withBuilder("docker"), { builder: "docker" }],
    ["platform", (spec) => spec.withPlatform("linux/arm64", ["x"]), { platform: ["linux/arm64", "x"] }],
    ["copy", (spec) => spec.withCopy("b", "c"), { copy: ["a", "b", "c"] }],
    ["commands", (spec) => spec.withCommands("install"), { commands: ["make", "install"] }],
    ["aptPackages", (spec) => spec.withAptPackages(["jq"]), { aptPackages: ["curl", "jq"] }],
    ["entrypoint", (spec) => spec.withEntrypoint("node", "cli.js"), { entrypoint: ["node", "cli.js"] }],
    ["force", (spec) => spec.withForce(), { force: true }],
  ])("%s: changes that in a new spec, and nothing in the old one", (_, change, changed) => {
    const before = structuredClone(options);
    const old = new ImageSpec(options);
    const made = change(old);
    expect(made).toBeInstanceOf(ImageSpec);
    expect(made).not.toBe(old);
    expect(made.options).toEqual({ ...before, ...changed });
    expect(old.options).toEqual(before);
    expect(Object.keys(changed)).toEqual([_]);
  });

  it("work on a spec that says nothing", () => {
    const spec = new ImageSpec().withPackages("a").withEnv({ A: "1" }).withCopy("x");
    expect(spec.options).toEqual({ packages: ["a"], env: { A: "1" }, copy: ["x"] });
  });

  it("never throw, and keep what is wrong for the deploy to tell", () => {
    const wrong = new ImageSpec({ packages: "hono" as never }).withPackages("zod");
    expect(wrong.options.packages).toBe("hono");
    expect(new ImageSpec(undefined).withForce(false).options).toEqual({ force: false });
  });
});
