import { readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, extname, resolve } from "node:path";
import { displayPath } from "../bundle/display-path.ts";
import { type AppctlError, messageOf, usageError } from "../core/errors.ts";
import { nearest } from "./nearest.ts";

const EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];

/**
 * The real path of the user's file. Throws a usage error when it does not exist, is no file or is not TypeScript or
 * JavaScript, and names the file that was probably meant.
 */
export function entryFile(file: string, cwd: string): string {
  const path = resolve(cwd, file);
  if (file === "") throw usageError("the name of the file is empty", { code: "FILE_NOT_FOUND" });
  let isFile: boolean;
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw isDirectory(file, path, cwd);
    isFile = stats.isFile();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") throw notFound(file, path, cwd);
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
    throw usageError(`${file} cannot be read: ${messageOf(error)}`, { code: "FILE_UNREADABLE", cause: error });
  }
  if (!isFile || !EXTENSIONS.includes(extname(path))) {
    throw usageError(`${file} is not a TypeScript or JavaScript file`, {
      code: "FILE_TYPE",
      hint: `name the file that exports the App, such as app${EXTENSIONS[0]}`,
    });
  }
  return realpathSync(path);
}

function notFound(file: string, path: string, cwd: string): AppctlError {
  const names = sourceFiles(dirname(path));
  const near = nearest(basename(path), names) ?? names.find((name) => stem(name) === stem(basename(path)));
  const meant = near && displayPath(resolve(dirname(path), near), cwd);
  return usageError(`${file}: no such file`, {
    code: "FILE_NOT_FOUND",
    hint: meant ? `did you mean "${meant}"?` : `searched in ${cwd}`,
  });
}

function isDirectory(file: string, path: string, cwd: string): AppctlError {
  const names = sourceFiles(path);
  const meant = names.find((name) => stem(name) === "app") ?? names.find((name) => stem(name) === "index") ?? names[0];
  return usageError(`${file} is a directory, not a file`, {
    code: "FILE_TYPE",
    hint: meant ? `did you mean "${displayPath(resolve(path, meant), cwd)}"?` : "name the file that exports the App",
  });
}

function sourceFiles(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => EXTENSIONS.includes(extname(name)) && !name.endsWith(".d.ts"));
  } catch {
    return []; // it serves a hint only
  }
}

function stem(name: string): string {
  return basename(name, extname(name));
}
