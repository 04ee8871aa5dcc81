import { AppctlError, ExitCode, messageOf } from "./errors.ts";

const REASONS: Record<string, { code: string; message(path: string): string; hint: string }> = {
  ENOSPC: {
    code: "DISK_FULL",
    message: (path) => `there is no space left on the disk of ${path}`,
    hint: "free some space, then repeat the command",
  },
  EDQUOT: {
    code: "DISK_FULL",
    message: (path) => `the disk quota is used up at ${path}`,
    hint: "free some space, then repeat the command",
  },
  EACCES: { code: "NOT_WRITABLE", message: (path) => `${path} cannot be written: permission denied`, hint: OWNER() },
  EPERM: { code: "NOT_WRITABLE", message: (path) => `${path} cannot be written: it is not permitted`, hint: OWNER() },
  EROFS: { code: "NOT_WRITABLE", message: (path) => `${path} cannot be written: its disk is read-only`, hint: OWNER() },
  ENOTDIR: { code: "NOT_WRITABLE", message: OCCUPIED, hint: OWNER() },
  EISDIR: { code: "NOT_WRITABLE", message: OCCUPIED, hint: OWNER() },
  ELOOP: { code: "NOT_WRITABLE", message: OCCUPIED, hint: OWNER() },
  EIO: {
    code: "DISK_ERROR",
    message: (path) => `the disk of ${path} reports an error`,
    hint: "check the log of the system",
  },
};

function OCCUPIED(path: string): string {
  return `${path} cannot be written: it is not a folder, or a broken link`;
}

function OWNER(): string {
  return "XDG_CACHE_HOME and XDG_STATE_HOME set where appctl keeps its files";
}

/** What a failed write to `path` means to a person, or `error` itself when the disk is not to blame. */
export function diskError(error: unknown, path: string): unknown {
  const reason = REASONS[(error as NodeJS.ErrnoException | undefined)?.code ?? ""];
  if (!reason) return error;
  return new AppctlError({
    code: reason.code,
    exit: ExitCode.unavailable,
    message: `${reason.message(path)} (${messageOf(error)})`,
    hint: reason.hint,
    cause: error,
  });
}
