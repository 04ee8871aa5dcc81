/** Notices of the npm packages whose code is in a bundle, from the metafile that esbuild writes of it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Folders of the packages that `metafiles` name, relative to the root, such as `node_modules/undici`; sorted. */
export function bundledPackages(metafiles) {
  const folders = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ inputs }) =>
      Object.entries(inputs)
        // An input of which nothing is left in the output is not in the bundle.
        .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
        .map(([path]) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]),
    ),
  );
  return [...new Set(folders)].filter((folder) => folder !== undefined).sort();
}

/** The notices of packages as text: name, version, license and the text of the license; packages with one text share it. */
export function noticesOf(root, folders) {
  const byText = Map.groupBy(folders, (folder) => licenseText(join(root, folder)));
  const parts = [...byText].map(([text, sharing]) => {
    const names = sharing.map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
      return `${name} ${version} (${license})`;
    });
    return `${names.join("\n")}\n\n${text}\n`;
  });
  return `This software contains code of these packages:\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

function licenseText(dir) {
  const file = readdirSync(dir).find((name) => /^licen[cs]e(?:\.|$)/i.test(name));
  if (!file) throw new Error(`${dir} has no license file`);
  return readFileSync(join(dir, file), "utf8").replaceAll("\r\n", "\n").trim();
}
