import { expect, it } from "vitest";
import { localeOf } from "../../src/engine/local/host-env.ts";

it("a replica gets the language and the time zone of the host, and nothing else", () => {
  expect(localeOf({ TZ: "UTC", LANG: "de_DE.UTF-8", LC_ALL: "", HOME: "/home/ann", LC_TIME: "C" })).toEqual({
    TZ: "UTC",
    LANG: "de_DE.UTF-8",
  });
  expect(localeOf({})).toEqual({ LANG: "C.UTF-8" });
});
