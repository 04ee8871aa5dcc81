import { isAbsolute, relative } from "node:path";

/** `file` (absolute) as the user would type it in `cwd`: relative inside of it and in its parent, else absolute. */
export function displayPath(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path === "" || isAbsolute(path) || path.startsWith("../..") ? file : path;
}
