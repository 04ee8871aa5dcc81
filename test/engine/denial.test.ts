import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { denialIn } from "../../src/engine/denial.ts";
import { permissionFlags } from "../../src/engine/local/process/permission-flags.ts";
import { temporaryDirectory } from "./helpers.ts";

/** What Node really prints when an app without permissions does this. */
function printed(code: string): string[] {
  const dir = temporaryDirectory();
  const flags = permissionFlags({
    read: [dir],
    write: [],
    permissions: [],
    nodeMajor: Number.parseInt(process.versions.node, 10),
  });
  const { stderr, status } = spawnSync(process.execPath, [...flags, "-e", code], { encoding: "utf8" });
  expect(status).toBe(1);
  return stderr.split("\n");
}

describe("a refusal of the permission model", () => {
  it.each([
    ['require("fs").readFileSync("/secret/key")', "it may not read /secret/key", "include"],
    ['require("fs").writeFileSync("/var/x", "")', "it may not write /var/x", "os.tmpdir()"],
    ['require("child_process").execSync("id")', "it may not start programs", 'permissions: ["child-process"]'],
    [
      'new (require("worker_threads").Worker)("0", { eval: true })',
      "it may not start worker threads",
      'permissions: ["worker"]',
    ],
    [
      'process.dlopen({ exports: {} }, "/x.node")',
      "it may not load native code (a .node file)",
      'permissions: ["addons"]',
    ],
  ])("is read from what %s prints", (code, message, hint) => {
    const denial = denialIn(printed(code));
    expect(denial?.message).toBe(message);
    expect(denial?.hint).toContain(hint);
  });

  it("names the permissions that the app has beside the one that it lacks", () => {
    const lines = ["  code: 'ERR_ACCESS_DENIED',", "  permission: 'WorkerThreads',", "  resource: ''", "}"];
    expect(denialIn(lines, ["child-process"])?.hint).toContain('permissions: ["child-process", "worker"]');
    expect(denialIn(["TypeError: x"])).toBeUndefined();
  });
});
