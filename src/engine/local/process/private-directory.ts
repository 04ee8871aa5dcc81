import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { AppctlError, ExitCode } from "../../../core/errors.ts";

/**
 * Makes a directory that only this user can enter, or, with the mode 0711, whose content nobody else can list. One that is there already must be this user's own: its name can be
 * guessed and lies where everyone may write. Throws an {@link AppctlError} when somebody else has it.
 */
export function makePrivateDirectory(dir: string, mode: 0o700 | 0o711 = 0o700): void {
  mkdirSync(dir, { recursive: true, mode });
  const stat = lstatSync(dir);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new AppctlError({
      code: "DIRECTORY_NOT_PRIVATE",
      exit: ExitCode.failed,
      message: `${dir} belongs to another user`,
      hint: "remove it, or set TMPDIR to another directory",
    });
  }
  if ((stat.mode & 0o777) !== mode) chmodSync(dir, mode);
}
