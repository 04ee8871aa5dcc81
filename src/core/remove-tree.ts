/**
 * Removing folders in which somebody has closed others, against himself, too: what an app can write it may leave so, and then
 * `rm` of its own user fails. Nothing is followed.
 */
import { execFile, execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";

const SCRIPT = 'chmod -R u+rwX -- "$0"; rm -rf -- "$0"';
const PLAIN = { recursive: true, force: true, maxRetries: 3 };

/** Removes the file or folder `path`, if it exists. Rejects when something of it stays. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, PLAIN).catch(() => removeTreeAs(undefined, path));
  await rm(path, PLAIN);
}

/** The same without a pause. Throws when something of it stays. */
export function removeTreeSync(path: string): void {
  try {
    rmSync(path, PLAIN);
  } catch {
    try {
      execFileSync("/bin/sh", ["-c", SCRIPT, path], { cwd: "/", env: {}, stdio: "ignore" });
    } catch {
      // seen next
    }
    rmSync(path, PLAIN);
  }
}

/** Removes it with the rights of `user`, undefined for those of this process. Never rejects: the caller looks what is left. */
export function removeTreeAs(user: { uid: number; gid: number } | undefined, path: string): Promise<void> {
  return new Promise((resolve) => {
    execFile("/bin/sh", ["-c", SCRIPT, path], { ...user, cwd: "/", env: {} }, () => resolve());
  });
}
