import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { diskError } from "./disk-error.ts";
import { AppctlError, ExitCode, isAppctlError, messageOf } from "./errors.ts";

/**
 * Makes a folder of appctl's own (0700) with its parents, and gives its path. `variable` is the environment variable that
 * names another one. Throws NOT_WRITABLE when it cannot be made or written.
 */
export function makeFolder(path: string, variable: string): string {
  try {
    makeLevels(path);
    accessSync(path, constants.W_OK | constants.X_OK);
    return path;
  } catch (cause) {
    const known = diskError(cause, path);
    throw new AppctlError({
      code: isAppctlError(known) ? known.code : "NOT_WRITABLE",
      exit: ExitCode.unavailable,
      message: isAppctlError(known) ? known.message : `the folder ${path} cannot be made: ${messageOf(cause)}`,
      hint: `set ${variable}, or HOME, to a folder that you can write`,
      cause,
    });
  }
}

/** One level after the other: below /proc, Node's own recursive mkdir tries for ever. */
function makeLevels(path: string): void {
  if (isFolder(path)) return;
  if (dirname(path) !== path) makeLevels(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (isFolder(path)) return; // another process was faster
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? new Error(`${path} is not a folder`) : error;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
