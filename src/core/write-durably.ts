import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes a file (0600) that must not be lost once something depends on it: it is there whole and on disk when this returns,
 * or, when it throws or the machine loses its power, as it was before.
 */
export function writeDurably(file: string, text: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, file);
  syncDirectory(dirname(file));
}

/** Gives a file that is written another name, with its bytes and the name on disk when this returns. */
export function moveDurably(from: string, to: string): void {
  const file = openSync(from, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(from, to);
  syncDirectory(dirname(to));
}

/** Brings to disk which names a directory has: a rename or a new file is durable only then. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
