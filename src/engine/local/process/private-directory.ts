import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { AppctlError, ExitCode } from "../../../core/errors.ts";

/**
 * Makes a directory that only this user can enter. One that is there already must be this user's own: its name can be
 * guessed and lies where everyone may write. Throws an {@link AppctlError} when somebody else has it.
 */
export function makePrivateDirectory(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stat = lstatSync(dir);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new AppctlError({
      code: "DIRECTORY_NOT_PRIVATE",
      exit: ExitCode.failed,
      message: `${dir} belongs to another user, so nothing of yours is put there`,
      hint: "remove it, or set TMPDIR to a directory of your own",
    });
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(dir, 0o700);
}
