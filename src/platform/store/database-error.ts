import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";

/** Primary result codes of SQLite (sqlite3.h). */
const [READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB] = [8, 10, 11, 13, 14, 26];

/** What an error of SQLite about `file` means to a person; any other error as it is. */
export function databaseError(error: unknown, file: string): unknown {
  const { errcode } = error as { errcode?: number };
  if (typeof errcode !== "number") return error;
  const because = (code: string, message: string, hint: string, next: string[] = []) =>
    new AppctlError({ code, exit: ExitCode.unavailable, message, hint, next, cause: error });
  switch (errcode & 0xff) {
    case FULL:
      return because("DISK_FULL", `there is no space left for ${file}`, "free some space; waiting work then continues");
    case READONLY:
    case CANTOPEN:
    case IOERR:
      return because(
        "DATABASE_NOT_WRITABLE",
        `${file} cannot be written: ${messageOf(error)}`,
        "check the disk and the owner of the file",
      );
    case CORRUPT:
    case NOTADB:
      return because(
        "DATABASE_DAMAGED",
        `the platform's database ${file} is damaged: ${messageOf(error)}`,
        "restore a copy of it, or move it away and start empty: it has the apps, secrets and keys",
        ["appctl platform stop", `mv '${file}' '${file}.damaged'`],
      );
    default:
      return error;
  }
}

/** True for a database that cannot be written now and may be later. */
export function isUnwritable(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "DISK_FULL" || code === "DATABASE_NOT_WRITABLE";
}
