/** The commands of packages, as npm links them: `node_modules/.bin/tsc` → `../typescript/bin/tsc`. */
import { Buffer } from "node:buffer";
import { basename, posix } from "node:path";
import { ensure } from "./leave-to-npm.ts";

/** `bin` of a package.json or a lock, by the names of the commands, as npm-normalize-package-bin has it. */
export function binsOf(bin: unknown, packageName: string): Map<string, string> {
  const bins = new Map<string, string>();
  if (!bin) return bins;
  ensure(typeof bin === "string" || (typeof bin === "object" && !Array.isArray(bin)), "bin is an unusual value");
  for (const [key, value] of Object.entries(typeof bin === "string" ? { [packageName]: bin } : bin)) {
    const name = inside(basename(key.replace(/\\|:/g, "/")));
    if (typeof value !== "string" || name === "") continue;
    const target = inside(value.replace(/\\/g, "/"));
    // Some of npm's parts take a colon for a slash here, others do not.
    ensure(!target.includes(":"), "a command with a colon");
    if (target !== "") bins.set(name, target);
  }
  return bins;
}

/** The path without what leads out of the folder. */
function inside(path: string): string {
  return posix.join("/", path).slice(1).replace(/\/$/, "");
}

/** Folder of the links to the commands of the package at `path`. */
export function binFolder(path: string): string {
  return `${path.slice(0, path.lastIndexOf("node_modules/"))}node_modules/.bin`;
}

/**
 * npm takes the carriage return off a first line `#!…`, without which the system does not find the interpreter. Undefined
 * when there is none.
 */
export function withoutCarriageReturn(bytes: Buffer): Buffer | undefined {
  if (!/^#![^\n]+\r\n/.test(bytes.toString("utf8", 0, 2048))) return undefined;
  return Buffer.from(bytes.toString("utf8").replace(/^(#![^\n]+)\r\n/, "$1\n"));
}
