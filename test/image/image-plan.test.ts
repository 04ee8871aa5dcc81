import { describe, expect, it } from "vitest";
import type { ResolvedEnvironment } from "../../src/image/environment-image.ts";
import { type ImagePlan, type PlanOptions, planImage } from "../../src/image/image-plan.ts";
import { npmTarget } from "../../src/packages/npm-target.ts";

const amd = npmTarget({ os: "linux", architecture: "amd64" }, "glibc");
const arm = npmTarget({ os: "linux", architecture: "arm64" }, "glibc");
const copy = [{ path: "a.txt", file: "/a.txt", digest: `sha256:${"0".repeat(64)}`, size: 1, executable: false }];
const platform = { address: "localhost:7654", needsBase: false };

const resolved = (more: Partial<ResolvedEnvironment["spec"]> = {}): ResolvedEnvironment => ({
  spec: { name: "web-image", baseImage: "node:24-slim", ...more },
  lock: { packages: [], lock: { lockfileVersion: 3, packages: {} } } as unknown as ResolvedEnvironment["lock"],
  scripts: [],
  warnings: [],
});

/** The plan, with each tag replaced by the os/arch that it is for. */
function plan(of: ResolvedEnvironment, options: Partial<PlanOptions>) {
  const { targets, destinations }: ImagePlan = planImage(of, { platforms: undefined, own: amd, ...options });
  const cpuOf = new Map(targets.map(({ reference, platform: { os, cpu } }) => [reference, `${os}/${cpu}`]));
  return {
    targets: targets.map(({ reference, baseImage, layers }) => ({ for: cpuOf.get(reference), baseImage, layers })),
    destinations: destinations.map((each) => ({ ...each, targets: each.targets.map((tag) => cpuOf.get(tag)) })),
  };
}

describe("the plan of an image", () => {
  const onAmd = { for: "linux/x64", baseImage: "node:24-slim", layers: [] };

  it("is the same for the same input, and each target has a tag of its own", () => {
    const options = { platforms: [amd, arm], own: amd, registry: "ghcr.io/team", platform };
    expect(planImage(resolved(), options)).toEqual(planImage(resolved(), options));
    const [first, second] = planImage(resolved(), options).targets;
    expect(first?.reference).toBe(`web-image:${first?.tag}`);
    expect(first?.tag).toMatch(/^[\w-]{22}$/);
    expect(second?.tag).not.toBe(first?.tag);
  });

  it("brings it to the platform alone, without its base where apps are processes", () => {
    expect(plan(resolved(), { platform })).toEqual({
      targets: [onAmd],
      destinations: [{ store: "platform", address: "localhost:7654", withBase: false, targets: ["linux/x64"] }],
    });
  });

  it("puts it on its base where the platform runs containers", () => {
    const containers = { ...platform, needsBase: true };
    expect(plan(resolved(), { platform: containers }).destinations).toEqual([
      { store: "platform", address: "localhost:7654", withBase: true, targets: ["linux/x64"] },
    ]);
  });

  it("brings it to the registry first, on its base, for every target that it is meant for", () => {
    expect(plan(resolved({ copy }), { platforms: [arm, amd], registry: "ghcr.io/team", platform })).toEqual({
      targets: [
        { ...onAmd, for: "linux/arm64", layers: ["copy"] },
        { ...onAmd, layers: ["copy"] },
      ],
      destinations: [
        { store: "registry", address: "ghcr.io/team", withBase: true, targets: ["linux/arm64", "linux/x64"] },
        { store: "platform", address: "localhost:7654", withBase: false, targets: ["linux/x64"] },
      ],
    });
  });

  it("has a target that only the platform runs", () => {
    const { targets, destinations } = plan(resolved(), { platforms: [arm], registry: "ghcr.io/team", platform });
    expect(targets.map((each) => each.for)).toEqual(["linux/arm64", "linux/x64"]);
    expect(destinations.map((each) => each.targets)).toEqual([["linux/arm64"], ["linux/x64"]]);
  });

  it("has no base in the registry for an image that has none", () => {
    expect(plan(resolved({ baseImage: undefined }), { registry: "ghcr.io" })).toEqual({
      targets: [{ ...onAmd, baseImage: undefined }],
      destinations: [{ store: "registry", address: "ghcr.io", withBase: false, targets: ["linux/x64"] }],
    });
  });

  it("keeps it on this machine, under the names that it gets where it is pushed later", () => {
    expect(plan(resolved(), { platforms: [amd, arm], layout: "ghcr.io" }).destinations).toEqual([
      { store: "layout", address: "ghcr.io", withBase: false, targets: ["linux/x64", "linux/arm64"] },
    ]);
  });
});
