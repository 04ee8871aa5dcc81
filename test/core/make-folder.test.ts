import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { homeOf } from "../../src/core/home.ts";
import { makeFolder } from "../../src/core/make-folder.ts";
import { pathsOf } from "../../src/core/paths.ts";

const dir = mkdtempSync(join(tmpdir(), "appctl-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("makeFolder", () => {
  it("makes a folder of its own user with its parents, and takes one that exists", () => {
    const path = join(dir, "a/b/c");
    expect(makeFolder(path, "XDG_STATE_HOME")).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(makeFolder(path, "XDG_STATE_HOME")).toBe(path);
  });

  it.each([
    ["/proc/.local/state/appctl", "the folder /proc/.local/state/appctl cannot be made: ENOENT"],
    ["/dev/null/.cache/appctl", "the folder /dev/null/.cache/appctl cannot be made: /dev/null is not a folder"],
    [join(dir, "file/x"), "file is not a folder"],
  ])("says at once why %s cannot be made, and what to set", (path, message) => {
    writeFileSync(join(dir, "file"), "");
    expect(() => makeFolder(path, "XDG_STATE_HOME")).toThrowError(
      expect.objectContaining({
        code: "NOT_WRITABLE",
        exit: 6,
        message: expect.stringContaining(message),
        hint: "set XDG_STATE_HOME, or HOME, to a folder that you can write",
      }),
    );
  });
});

describe("the home folder", () => {
  it.each(["", "relative", undefined])("is the one of the user database when HOME is %j", (HOME) => {
    const home = homeOf({ HOME });
    expect(home).toMatch(/^\//);
    expect(pathsOf({ HOME }).state).toBe(join(home as string, ".local/state/appctl"));
    expect(pathsOf({ HOME }).cache).toBe(join(home as string, ".cache/appctl"));
  });

  it("is not needed where all folders are named", () => {
    const named = { HOME: "", XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "/c", XDG_CONFIG_HOME: "/k" };
    expect(pathsOf(named)).toMatchObject({
      state: "/s/appctl",
      cache: "/c/appctl",
      configFile: "/k/appctl/config.yaml",
    });
  });
});
