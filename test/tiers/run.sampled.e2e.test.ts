import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeLong, sampleOf } from "../support/amount.ts";
import { TIERS } from "./tiers.ts";

// The scripts of this repository, in a small project of its own: its tests, its lint, its types and its build do as they are told.
const repository = join(import.meta.dirname, "..", "..");
let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "tiers-"));
  for (const file of [".ci/run", "test/run.sh", "vitest.config.ts", "package.json"]) copy(file);
  for (const file of ["run.ts", "result.ts", "tiers.ts", "left-out.ts"]) copy(`test/tiers/${file}`);
  write("test/setup.ts", "export {};");
  write("test/support/secret-ledger.ts", "export default () => undefined;");
  write("bin/setup.sh", "true");
  write("bin/build.js", "");
  write("test/tiers/system-programs.sh", "echo installs programs");
  mkdirSync(join(project, "node_modules", ".bin"), { recursive: true });
  symlinkSync(join(repository, "node_modules/vitest"), join(project, "node_modules/vitest"));
  for (const name of ["vitest", "node"]) {
    symlinkSync(join(repository, "node_modules/.bin", name), join(project, "node_modules/.bin", name));
  }
  for (const name of ["biome", "tsc"]) program(name, "exit 0");
  for (const tier of Object.keys(TIERS)) write(fileOf(tier), test("passes", ""));
});
afterEach(() => rmSync(project, { recursive: true }));

function copy(file: string): void {
  mkdirSync(dirname(join(project, file)), { recursive: true });
  cpSync(join(repository, file), join(project, file));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(project, file)), { recursive: true });
  writeFileSync(join(project, file), text);
}

function program(name: string, text: string): void {
  write(`node_modules/.bin/${name}`, `#!/bin/sh\n${text}\n`);
  chmodSync(join(project, "node_modules/.bin", name), 0o755);
}

const fileOf = (tier: string) => (tier === "unit" ? "test/a.test.ts" : `test/a.${tier}.test.ts`);
const test = (name: string, body: string) =>
  `import { expect, it } from "vitest";\nit("${name}", async (context) => { ${body} });\n`;

interface Ended {
  code: number;
  stdout: string;
  /** The last line of standard output. */
  last: string | undefined;
}

/** Runs a script of the project as CI does. */
function run(...args: string[]): Promise<Ended> {
  const env = { PATH: process.env["PATH"], HOME: project, CI: "true" };
  return new Promise((resolve) => {
    execFile("bash", args, { cwd: project, env }, (error, stdout) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, stdout, last: stdout.trimEnd().split("\n").at(-1) });
    });
  });
}

describeLong(".ci/run", () => {
  it("runs every tier, and says how long each took and which tests were the slowest", async () => {
    const { code, stdout, last } = await run(".ci/run");
    expect([code, last]).toEqual([0, "5 passed, 0 failed"]);
    for (const tier of Object.keys(TIERS))
      expect(stdout).toMatch(new RegExp(`^${tier} +[\\d.]+ s   1 passed, 0 failed$`, "m"));
    expect(stdout).toContain("installs programs\n");
    expect(stdout).toMatch(/^The 10 slowest tests:\n(?: +[\d.]+ s {3}.*a\.\S*test\.ts > passes\n){5}/m);
  });

  it("fails when a test of any tier fails, and runs the others", async () => {
    for (const tier of ["unit", "system"]) write(fileOf(tier), test("fails", "expect(1).toBe(2)"));
    const { code, last } = await run(".ci/run");
    expect([code, last]).toEqual([1, "3 passed, 2 failed"]);
  });

  it("fails when the build does, without a count", async () => {
    write("bin/build.js", "process.exit(4);");
    const { code, stdout } = await run(".ci/run");
    expect(code).toBe(4);
    expect(stdout).not.toContain("passed");
  });
});

describe("a run of some tiers", () => {
  it.each(sampleOf(Object.keys(TIERS), 1))("fails when a test of %s fails", async (tier) => {
    write(fileOf(tier), test("passes before", "") + test("fails", "expect(1).toBe(2)").split("\n")[1]);
    const { code, last } = await run("test/run.sh", tier);
    expect([code, last]).toEqual([1, "1 passed, 1 failed"]);
  });

  it("fails when a tier runs no test", async () => {
    rmSync(join(project, fileOf("e2e")));
    const { code, stdout, last } = await run("test/run.sh", "unit", "e2e");
    expect([code, last]).toEqual([1, "1 passed, 1 failed"]);
    expect(stdout).toMatch(/^e2e: /m);
  });

  it("fails when every test of a tier is left out, and names the tests with their reason", async () => {
    write(fileOf("unit"), test("needs more", 'context.skip("no such program")'));
    const { code, stdout, last } = await run("test/run.sh", "unit");
    expect([code, last]).toEqual([1, "0 passed, 1 failed, 1 skipped"]);
    expect(stdout).toContain("left out: needs more: no such program\n");
    expect(stdout).toMatch(/^unit left out .*a\.test\.ts > needs more$/m);
  });

  it("fails when a worker dies", async () => {
    const dies = test("dies", 'process.kill(process.pid, "SIGKILL"); await new Promise(() => {});');
    write(fileOf("unit"), test("passes before", "") + dies.split("\n")[1]);
    const { code, stdout, last } = await run("test/run.sh", "unit");
    expect([code, last]).toEqual([1, "0 passed, 2 failed"]);
    expect(stdout).toMatch(/^unit: .*a\.test\.ts > dies did not end$/m);
  });

  it("fails when the test runner dies", async () => {
    write(fileOf("unit"), test("kills it", 'process.kill(process.ppid, "SIGKILL"); await new Promise(() => {});'));
    const { code, stdout, last } = await run("test/run.sh", "unit");
    expect([code, last]).toEqual([1, "0 passed, 1 failed"]);
    expect(stdout).toContain("unit: the test runner ended with SIGKILL and left no result");
  });

  it("fails when a command of a tier fails", async () => {
    program("biome", "exit 3");
    const { code, stdout, last } = await run("test/run.sh", "check");
    expect([code, last]).toEqual([1, "1 passed, 1 failed"]);
    expect(stdout).toMatch(/^check: biome .*ended with 3$/m);
  });
});

describe("npm test", () => {
  it("says first what it runs and how long that takes, and installs no programs", async () => {
    const { code, stdout, last } = await run("test/run.sh", "unit", "e2e");
    expect([code, last]).toEqual([0, "2 passed, 0 failed"]);
    expect(stdout).toMatch(/^This runs, one after another:\n {2}unit .* about .* minute.*\n {2}e2e .*/);
    expect(stdout).not.toContain("installs programs");
  });

  it("passes arguments on to the test runner", async () => {
    write("test/b.test.ts", test("is another", ""));
    const { code, last } = await run("test/run.sh", "unit", "--", "test/b.test.ts");
    expect([code, last]).toEqual([0, "1 passed, 0 failed"]);
  });

  it("refuses a tier that does not exist", async () => {
    expect(await run("test/run.sh", "uint")).toMatchObject({ code: 2 });
  });
});
