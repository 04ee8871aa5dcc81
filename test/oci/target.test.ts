import { describe, expect, it } from "vitest";
import { parseTarget, TARGETS, targetText } from "../../src/oci/target.ts";

describe("parseTarget", () => {
  it("reads what images are made for, and gives each platform one name", () => {
    for (const name of TARGETS) expect(targetText(parseTarget(name) ?? { os: "", architecture: "" })).toBe(name);
    expect(parseTarget("linux/arm64/v8")).toEqual(parseTarget("linux/arm64"));
    expect(parseTarget("linux/arm")).toEqual({ os: "linux", architecture: "arm", variant: "v7" });
    expect(TARGETS).toContain("linux/arm/v7");
  });

  it.each(["", "linux", "amd64", "linux/x64", "darwin/arm64", "linux/amd64/v8", "linux/arm64/v8/x", "linux/toString"])(
    "does not read %j",
    (text) => {
      expect(parseTarget(text)).toBeUndefined();
    },
  );
});
