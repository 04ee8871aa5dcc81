import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
// @ts-expect-error plain JavaScript, as the workflow runs it
import { releaseFaults } from "../bin/release-check.js";

const root = join(import.meta.dirname, "..");
const text = (name: string) => readFileSync(join(root, name), "utf8");
const manifest = JSON.parse(text("package.json")) as Record<string, unknown> & {
  version: string;
  scripts: Record<string, string>;
};
const complete = {
  ...manifest,
  repository: { type: "git", url: "git+https://git.example/someone/appctl.git" },
  bugs: { url: "https://git.example/someone/appctl/issues" },
  homepage: "https://git.example/someone/appctl",
};
const tag = `v${manifest.version}`;
const faultsOf = (more: object): string[] =>
  releaseFaults({ tag, manifest: complete, changelog: text("CHANGELOG.md"), changes: "", ...more });

describe("a release", () => {
  it("is refused until the package says where it comes from: no URL is made up", () => {
    for (const field of ["repository", "bugs", "homepage"]) expect(manifest).not.toHaveProperty(field);
    expect(faultsOf({ manifest })).toEqual([
      "package.json has no repository with an https URL",
      "package.json has no bugs with an https URL",
      "package.json has no homepage with an https URL",
    ]);
  });

  it("passes with them, and with the CHANGELOG of its version", () => {
    expect(faultsOf({})).toEqual([]);
  });

  it("names every fault in one answer", () => {
    const faults = faultsOf({ tag: "v9.9.9", changelog: "## Unreleased\n", changes: " M src/main.ts\n" });
    expect(faults).toEqual([
      `the tag v9.9.9 is not ${tag}, the version of package.json`,
      `CHANGELOG.md has no section "## ${manifest.version}"`,
      'CHANGELOG.md has a section "## Unreleased"',
      "the tree has changes that are not committed:\n M src/main.ts",
    ]);
  });
});

describe("bin/release-check.js", () => {
  /** Runs the script of the repository in `dir`. */
  function check(dir: string, name?: string) {
    const args = [join(dir, "bin", "release-check.js"), ...(name === undefined ? [] : [name])];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    return { status, stdout, stderr };
  }

  /** A repository with the script, the CHANGELOG and a complete package.json, all committed. */
  function completeCopy(): string {
    const dir = mkdtempSync(join(tmpdir(), "release-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    mkdirSync(join(dir, "bin"));
    for (const file of ["bin/release-check.js", "CHANGELOG.md"]) cpSync(join(root, file), join(dir, file));
    writeFileSync(join(dir, "package.json"), JSON.stringify(complete));
    const identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgSign=false"];
    for (const args of [
      ["init", "-q"],
      ["add", "."],
      [...identity, "commit", "-q", "-m", "Copy"],
    ]) {
      execFileSync("git", args, { cwd: dir });
    }
    return dir;
  }

  it("refuses this repository, which has no URL", () => {
    const { status, stderr } = check(root, tag);
    expect(status).toBe(1);
    for (const field of ["repository", "bugs", "homepage"]) {
      expect(stderr).toContain(`Error: package.json has no ${field} with an https URL\n`);
    }
  });

  it("passes in a copy that is complete", () => {
    expect(check(completeCopy(), tag)).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  it("reports a wrong tag, a missing section and a changed tree of that copy at once", () => {
    const dir = completeCopy();
    writeFileSync(join(dir, "CHANGELOG.md"), "# Changelog\n");
    const { status, stderr } = check(dir);
    expect(status).toBe(1);
    expect(stderr).toBe(
      [
        `Error: the tag (none) is not ${tag}, the version of package.json`,
        `Error: CHANGELOG.md has no section "## ${manifest.version}"`,
        "Error: the tree has changes that are not committed:",
        " M CHANGELOG.md",
        "",
      ].join("\n"),
    );
  });
});

describe("the workflows", () => {
  const folder = ".github/workflows";
  const steps = readdirSync(join(root, folder)).flatMap((name) => {
    const { jobs } = parse(text(join(folder, name))) as {
      jobs: Record<string, { steps: { run?: string; uses?: string }[] }>;
    };
    return Object.values(jobs).flatMap((job) => job.steps.map((step) => ({ name, ...step })));
  });

  it("run the scripts that the package has", () => {
    const runs = steps.flatMap(({ run }) => run ?? []);
    expect(runs).toEqual(expect.arrayContaining(["npm run check", "npm test", ".ci/run"]));
    for (const run of runs) {
      const [, script] = /^npm (?:run )?(check|test\S*|bench)$/.exec(run) ?? [];
      if (script !== undefined) expect(manifest.scripts).toHaveProperty(script);
      else
        expect(run).toMatch(
          /^(?:\.ci\/run|git config --global --add safe\.directory "\$GITHUB_WORKSPACE"|sh bin\/setup\.sh|node bin\/release-check\.js "\$GITHUB_REF_NAME"|npm publish --provenance --access public)$/,
        );
    }
  });

  it("take actions by their major version", () => {
    const actions = steps.flatMap(({ uses }) => uses ?? []);
    expect(actions.length).toBeGreaterThan(3);
    for (const action of actions) expect(action).toMatch(/^actions\/(?:checkout|setup-node)@v\d+$/);
  });

  it("check a release before they publish it, with provenance", () => {
    const release = steps.filter(({ name }) => name === "release.yml").flatMap(({ run }) => run ?? []);
    const at = (start: string) => release.findIndex((run) => run.startsWith(start));
    expect(at("node bin/release-check.js")).toBeGreaterThan(-1);
    expect(at("npm publish --provenance")).toBeGreaterThan(at("node bin/release-check.js"));
    expect(text(`${folder}/release.yml`)).toContain("id-token: write");
  });
});

it("the forms are valid YAML with what a form needs", () => {
  for (const name of ["bug.yml", "feature.yml"]) {
    const form = parse(text(`.github/ISSUE_TEMPLATE/${name}`)) as {
      name: string;
      description: string;
      body: { id?: string; type: string }[];
    };
    expect([form.name, form.description].every((word) => word.length > 2)).toBe(true);
    const ids = form.body.flatMap(({ id }) => id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  }
});
