import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { systemdUnit } from "../../src/commands/shared/systemd-unit.ts";
import { cli } from "../e2e/harness.ts";

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
if (!hasSystemd)
  console.warn("SKIPPED test/cli/systemd-unit.system.test.ts: no systemd-analyze (Debian: apt-get install systemd)");

it.skipIf(!hasSystemd)("the unit that is printed is one that systemd takes, without a warning", () => {
  const dir = mkdtempSync(join(tmpdir(), "unit-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const env = { ...process.env, HOME: dir, XDG_STATE_HOME: join(dir, 'a "state" of 5% and $HOME\\') };
  const args = ["platform", "start", "--print-systemd-unit", "--port", "7655", "--gateway-workers", "2"];
  const text = execFileSync(process.execPath, [cli, ...args], { env, encoding: "utf8" });
  expect(text).toMatch(/^ExecStart=\S+ \S+appctl\.js platform start --foreground --port 7655 .*--gateway-workers 2$/m);
  expect(text).toContain(`Environment=HOME=${dir}\n`);
  expect(text).toContain('a \\"state\\" of 5%% and $HOME\\\\"');
  const file = join(dir, "appctl.service");
  writeFileSync(file, text);
  const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
  const complaints = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("appctl"));
  expect([status, complaints]).toEqual([0, []]);
  expect(systemdUnit({ command: ["/a b", "$x"], env: {} })).toContain('ExecStart="/a b" "$$x"\n');
});
