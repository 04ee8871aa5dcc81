import { DatabaseSync } from "node:sqlite";

/** A held lock. The kernel lets go of it when the process ends, however it ends. */
export interface Lock {
  release(): void;
}

/**
 * Takes the lock `file`, or returns undefined when another process holds it. It is an exclusive SQLite transaction, that
 * is a POSIX record lock: Node has no file locks of its own, and a lock that is a file's existence goes stale in a crash.
 */
export function tryLock(file: string): Lock | undefined {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  return { release: () => db.close() };
}

/** Result code of SQLite for a lock that somebody else holds. */
const SQLITE_BUSY = 5;
