import { renameSync, statSync } from "node:fs";

/** Bytes after which a log file is put aside and the log goes on in a new one: the logs of apps and the platform's own. */
export const LOG_FILE_BYTES = 10 * 1024 * 1024;

/** Makes room for a new log: puts `file` aside as `<file>.1`, in place of the one before, when it is larger than `limit` bytes. */
export function rotateLog(file: string, limit = LOG_FILE_BYTES): void {
  const { size = 0 } = statSync(file, { throwIfNoEntry: false }) ?? {};
  if (size > limit) renameSync(file, `${file}.1`);
}
