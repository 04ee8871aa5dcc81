import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildOptions, build, type Metafile } from "esbuild";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
// @ts-expect-error plain JavaScript: the build runs before anything is installed that could check its types
import { builds } from "../bin/build.js";
// @ts-expect-error the same
import { bundledFiles, noticesOf } from "../bin/notices.js";

const root = join(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

let metafiles: Metafile[];
let shim: Metafile;
beforeAll(async () => {
  const results = (builds as BuildOptions[]).map(async (options) => {
    const { metafile } = await build({ ...options, write: false, metafile: true });
    if (options.outfile?.endsWith("serve.js")) shim = metafile;
    return metafile;
  });
  metafiles = await Promise.all(results);
});

/** `<name> <version>` of each npm package that has code in an output. */
function packagesIn(files: Metafile[]): string[] {
  const inputs = files.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap((output) => Object.entries(output.inputs)),
  );
  const folders = inputs
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .flatMap(([path]) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []);
  return [...new Set(folders)].map((folder) => {
    const { name, version } = JSON.parse(read(`${folder}/package.json`)) as { name: string; version: string };
    return `${name} ${version}`;
  });
}

/** The packages that the notices do not name above the text of a license. */
function missingFrom(notices: string, packages: readonly string[]): string[] {
  const sections = notices.slice(notices.indexOf("\n\n") + 2).split(`\n${"-".repeat(80)}\n\n`);
  const licensed = sections.flatMap((section) => {
    const [titles = "", ...text] = section.split("\n\n");
    return /permi(?:t|ssion)/i.test(text.join()) ? titles.split("\n") : [];
  });
  return packages.filter((name) => !licensed.some((title) => /^\([\w. -]+\)$/.test(title.replace(`${name} `, ""))));
}

describe("THIRD-PARTY-NOTICES", () => {
  const notices = read("THIRD-PARTY-NOTICES");

  it("has every package whose code is in dist/, with its license", () => {
    expect(packagesIn(metafiles).length).toBeGreaterThan(20);
    expect(missingFrom(notices, packagesIn(metafiles))).toEqual([]);
    expect(notices).toBe(noticesOf(root, metafiles));
  });

  it.each(["zod", "chalk", "@hono/node-server"])("is incomplete without %s", (name) => {
    const lines = notices.split("\n").filter((line) => !line.startsWith(`${name} `));
    const missing = missingFrom(lines.join("\n"), packagesIn(metafiles));
    expect(new Set(missing.map((line) => line.split(" ")[0]))).toEqual(new Set([name]));
  });

  it("has the licenses of the code that undici contains", () => {
    expect(notices).toMatch(/^undici \S+, lib\/llhttp\n\n.*\n\nCopyright Fedor Indutny/m);
    expect(notices).toMatch(/^undici \S+, lib\/web\/fetch\n\n.*\n\nCopyright \(c\) 2020 Ethan Arrowood/m);
  });

  it("needs no copyright line of a single file", () => {
    const files = bundledFiles(metafiles) as string[];
    expect(files.length).toBeGreaterThan(200);
    expect(files.filter((file) => /copyright|@license/i.test(read(file)))).toEqual([]);
  });

  it("does not depend on the order of the bundles", () => {
    expect(noticesOf(root, metafiles.toReversed())).toBe(notices);
  });
});

it("the shim, which goes into images of users, ends with the notices of its packages", () => {
  const file = read("dist/serve.js");
  const comment = file.slice(file.lastIndexOf("/*!"));
  expect(packagesIn([shim]).length).toBeGreaterThan(0);
  expect(missingFrom(comment, packagesIn([shim]))).toEqual([]);
  expect(comment).not.toContain("zod");
  expect(comment).toMatch(/^\*\/\n$/m);
  expect(Buffer.byteLength(comment)).toBeLessThan(4000);
});

it("a package without a license file cannot be bundled", () => {
  const dir = mkdtempSync(join(tmpdir(), "notices-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const folder = join(dir, "node_modules/a");
  mkdirSync(join(folder, "lib"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "name": "a", "version": "1.2.3", "license": "MIT" }');
  const metafile = { outputs: { "a.js": { inputs: { "node_modules/a/lib/a.js": { bytesInOutput: 1 } } } } };
  expect(() => noticesOf(dir, [metafile])).toThrow("node_modules/a has no license file");
  writeFileSync(join(folder, "LICENSE.md"), "Permission is granted.\r\n");
  expect(noticesOf(dir, [metafile])).toContain("\n\na 1.2.3 (MIT)\n\nPermission is granted.\n");
});
