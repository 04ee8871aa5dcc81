import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/commands/command-table.ts";
import { withLauncher } from "../../src/core/command-line.ts";
import { launcherOf } from "../../src/core/launcher.ts";

let root: string;
const script = "/opt/app ctl/bin/appctl.js";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "launcher-"));
  for (const [project, lockfile] of Object.entries({
    n: "package-lock.json",
    p: "pnpm-lock.yaml",
    y: "yarn.lock",
    b: "bun.lock",
    none: "package.json",
  })) {
    const bin = join(root, project, "node_modules", ".bin");
    mkdirSync(bin, { recursive: true });
    mkdirSync(join(root, project, "src"));
    writeFileSync(join(bin, "appctl"), "");
    writeFileSync(join(root, project, lockfile), "");
  }
  mkdirSync(join(root, "global"));
  writeFileSync(join(root, "global", "appctl"), "");
  chmodSync(join(root, "global", "appctl"), 0o755);
});
afterAll(() => rmSync(root, { recursive: true }));

describe("a command to type next", () => {
  it.each([
    ["n", "npx appctl"],
    ["p", "pnpm exec appctl"],
    ["y", "yarn appctl"],
    ["b", "bunx appctl"],
    ["none", "npx appctl"],
  ])("of a project with the lockfile of %s begins with %s", (project, words) => {
    expect(launcherOf({ PATH: "/usr/bin" }, join(root, project, "src"), script)).toBe(words);
  });

  it.each([
    ["npm/11.0.0 node/v24.0.0 linux x64 workspaces/false", "npx appctl"],
    ["pnpm/10.0.0 npm/? node/v24.0.0 linux x64", "pnpm exec appctl"],
    ["yarn/4.0.0 npm/? node/v24.0.0 linux x64", "yarn appctl"],
    ["bun/1.2.0 npm/? node/v24.0.0 linux x64", "bunx appctl"],
  ])("of a run by %s begins with %s", (agent, words) => {
    const env = { npm_config_user_agent: agent, PATH: join(root, "global") };
    expect(launcherOf(env, "/", script)).toBe(words);
  });

  it("begins with appctl where PATH has it, and with a path where nothing is installed", () => {
    expect(launcherOf({ PATH: `/usr/bin:${join(root, "global")}` }, join(root, "p"), script)).toBe("appctl");
    expect(launcherOf({}, root, script)).toBe("node '/opt/app ctl/bin/appctl.js'");
  });

  it("is found in a text, whatever the command", () => {
    for (const { words } of COMMANDS) {
      expect(withLauncher(`to go on: appctl ${words}`, "npx appctl")).toBe(`to go on: npx appctl ${words}`);
    }
    expect(withLauncher("appctl failed; this appctl is older", "npx appctl")).toBe(
      "appctl failed; this appctl is older",
    );
  });
});
