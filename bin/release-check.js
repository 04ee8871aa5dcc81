/** `node bin/release-check.js v0.1.0`: refuses a release that is not complete, with every fault in one answer. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What keeps the tag from being released, in words. `changes`: `git status --porcelain` of the tree. */
export function releaseFaults({ tag, manifest, changelog, changes }) {
  const { version } = manifest;
  const isHttps = (value) => typeof value === "string" && /^(?:git\+)?https:\/\/[^/]+\/.+/.test(value);
  const addressOf = (field) => (typeof field === "object" && field !== null ? field.url : field);
  return [
    ...["repository", "bugs", "homepage"]
      .filter((field) => !isHttps(addressOf(manifest[field])))
      .map((field) => `package.json has no ${field} with an https URL`),
    ...(tag === `v${version}` ? [] : [`the tag ${tag || "(none)"} is not v${version}, the version of package.json`]),
    ...(new RegExp(`^## ${version.replaceAll(".", "\\.")}$`, "m").test(changelog)
      ? []
      : [`CHANGELOG.md has no section "## ${version}"`]),
    ...(/^## Unreleased/m.test(changelog) ? ['CHANGELOG.md has a section "## Unreleased"'] : []),
    ...(changes.trim() === "" ? [] : [`the tree has changes that are not committed:\n${changes.trimEnd()}`]),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const text = (name) => readFileSync(join(root, name), "utf8");
  const faults = releaseFaults({
    tag: process.argv[2] ?? "",
    manifest: JSON.parse(text("package.json")),
    changelog: text("CHANGELOG.md"),
    changes: execFileSync("git", ["status", "--porcelain"], { cwd: root, encoding: "utf8" }),
  });
  for (const fault of faults) console.error(`Error: ${fault}`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}
