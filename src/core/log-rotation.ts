import { renameSync, statSync } from "node:fs";
import { LIMITS } from "../contract/limits.ts";

/** Makes room for a new log: puts `file` aside as `<file>.1`, in place of the one before, when it is larger than `limit` bytes. */
export function rotateLog(file: string, limit = LIMITS.logFileBytes.value): void {
  const { size = 0 } = statSync(file, { throwIfNoEntry: false }) ?? {};
  if (size > limit) renameSync(file, `${file}.1`);
}
