/** Notices of the npm packages whose code is in a bundle, from the metafile that esbuild writes of it. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Folders of packages that contain others' code without its license, and the file in bin/licenses/ that has it. */
const ADDED_LICENSES = { "node_modules/undici/lib/llhttp": "llhttp.txt" };

/** Files of npm packages that `metafiles` name, relative to the root, such as `node_modules/ora/index.js`; sorted. */
export function bundledFiles(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs)),
  );
  // An input of which nothing is left in the output is not in the bundle.
  const files = inputs.filter(([file, { bytesInOutput }]) => bytesInOutput > 0 && packageFolder(file));
  return [...new Set(files.map(([file]) => file))].sort();
}

/**
 * The notices of what `metafiles` name as text: name, version, license and the text of the license; packages with one text share
 * it. A folder inside a package that has a license of its own gets its own notice.
 */
export function noticesOf(root, metafiles) {
  const texts = new Map();
  for (const file of bundledFiles(metafiles)) {
    for (const folder of foldersOf(file)) if (!texts.has(folder)) texts.set(folder, licenseText(root, folder));
  }
  const licensed = [...texts.keys()].filter((folder) => texts.get(folder) !== "");
  const byText = Map.groupBy(licensed.sort(), (folder) => texts.get(folder));
  const parts = [...byText].map(
    ([text, folders]) => `${folders.map((it) => titleOf(root, it)).join("\n")}\n\n${text}\n`,
  );
  return `This software contains code of these packages:\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** Folder of the package that a file is in; undefined for a file of this repository. */
function packageFolder(file) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

/** The folder of a file's package, and the folders from there to the file. */
function foldersOf(file) {
  const dir = dirname(file);
  return dir === packageFolder(file) ? [dir] : [...foldersOf(dir), dir];
}

/** Text of the license files of a folder; empty when a folder inside a package has none. Throws when a package has none. */
function licenseText(root, folder) {
  const names = readdirSync(join(root, folder)).filter((name) => /^(?:licen[cs]e|copying|notice)(?:\.|$)/i.test(name));
  const files = names.sort().map((name) => join(root, folder, name));
  if (folder in ADDED_LICENSES) files.push(join(import.meta.dirname, "licenses", ADDED_LICENSES[folder]));
  if (files.length === 0 && folder === packageFolder(folder)) throw new Error(`${folder} has no license file`);
  return files.map((file) => readFileSync(file, "utf8").replaceAll("\r\n", "\n").trim()).join("\n\n");
}

/** `ora 9.4.1 (MIT)`, or `undici 8.12.4, lib/llhttp` for a folder inside a package. */
function titleOf(root, folder) {
  const main = packageFolder(folder);
  const { name, version, license } = JSON.parse(readFileSync(join(root, main, "package.json"), "utf8"));
  return folder === main ? `${name} ${version} (${license})` : `${name} ${version}, ${folder.slice(main.length + 1)}`;
}
