import { describe, expect, it } from "vitest";
import { PLATFORM_NAMES, parsePlatformName, platformText } from "../../src/oci/target.ts";

describe("parsePlatformName", () => {
  it("reads what images are made for, and gives each platform one name", () => {
    for (const name of PLATFORM_NAMES)
      expect(platformText(parsePlatformName(name) ?? { os: "", architecture: "" })).toBe(name);
    expect(parsePlatformName("linux/arm64/v8")).toEqual(parsePlatformName("linux/arm64"));
    expect(parsePlatformName("linux/arm")).toEqual({ os: "linux", architecture: "arm", variant: "v7" });
    expect(PLATFORM_NAMES).toContain("linux/arm/v7");
  });

  it.each(["", "linux", "amd64", "linux/x64", "darwin/arm64", "linux/amd64/v8", "linux/arm64/v8/x", "linux/toString"])(
    "does not read %j",
    (text) => {
      expect(parsePlatformName(text)).toBeUndefined();
    },
  );
});
