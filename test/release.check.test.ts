import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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
          /^(?:\.ci\/run|sh bin\/setup\.sh|node bin\/release-check\.js "\$GITHUB_REF_NAME"|npm publish --provenance --access public)$/,
        );
    }
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
