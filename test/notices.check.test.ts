import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { expect, it } from "vitest";
// @ts-expect-error plain JavaScript: the build runs before anything is installed that could check its types
import { builds } from "../bin/build.js";

const root = join(import.meta.dirname, "..");

/** `<name> <version>` of each npm package that the files of a build have code of. */
async function packagesIn(options: BuildOptions): Promise<string[]> {
  const { metafile } = await build({ ...options, write: false, metafile: true });
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const folders = inputs
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .flatMap(([path]) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []);
  return [...new Set(folders)].map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
      name: string;
      version: string;
    };
    return `${name} ${version}`;
  });
}

it("every package whose code is in dist/ is in THIRD-PARTY-NOTICES, with its license", async () => {
  const notices = readFileSync(join(root, "THIRD-PARTY-NOTICES"), "utf8");
  const names = (await Promise.all((builds as BuildOptions[]).map(packagesIn))).flat();
  expect(new Set(names).size).toBeGreaterThan(10);
  for (const name of names)
    expect(notices).toMatch(new RegExp(`^${name.replace(/[.*+/]/g, "\\$&")} \\([\\w. -]+\\)$`, "m"));
  expect(notices.match(/permission/gi)?.length).toBeGreaterThan(10);
});

it("the shim, which goes into images of users, has the notices of its packages in it", async () => {
  const [shim] = (builds as BuildOptions[]).filter(({ outfile }) => outfile?.endsWith("serve.js"));
  const names = await packagesIn(shim as BuildOptions);
  expect(names.length).toBeGreaterThan(0);
  const file = readFileSync(join(root, "dist", "serve.js"), "utf8");
  const notices = file.slice(file.lastIndexOf("/*!"));
  for (const name of names) expect(notices).toContain(name);
  expect(notices).toContain("The above copyright notice and this permission notice shall be included");
});
