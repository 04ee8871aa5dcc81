/**
 * The directory of a replica: its socket, and `home` and `tmp` that alone it may write. Where the app has a user of its own,
 * root acts here on what that user may have made, so nothing is followed, and what lies deeper is left to that user's rights.
 */
import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { removeTree, removeTreeAs } from "../../../core/remove-tree.ts";
import type { AppUser } from "./isolation/isolation.ts";

/** Name of the socket in a replica's directory. */
export const SOCKET = "s";

/** Makes the directory. Without a socket of its own the app gets no right to change the directory itself. */
export function makeHome(home: string, user: AppUser | undefined, makesSocket: boolean): void {
  mkdirSync(home, { mode: 0o700 });
  for (const name of ["home", "tmp"]) {
    mkdirSync(join(home, name), { mode: 0o700 });
    if (user) lchownSync(join(home, name), user.uid, user.gid);
  }
  if (!user) return;
  if (makesSocket) lchownSync(home, user.uid, user.gid);
  else seal(home, user);
}

/**
 * Takes the directory from the app when its socket is there: what the gateway connects to as root must not become something
 * else. Throws when it is not the app's own socket already.
 */
export function sealHome(home: string, user: AppUser): void {
  seal(home, user);
  const socket = lstatSync(join(home, SOCKET));
  if (!socket.isSocket() || socket.uid !== user.uid) throw new Error("another file is at the path of its socket");
}

function seal(home: string, { gid }: AppUser): void {
  lchownSync(home, process.getuid?.() ?? 0, gid);
  chmodSync(home, 0o710);
}

/** Removes the directory. The replica's processes have ended. Throws when something of it stays. */
export async function removeHome(home: string, user: AppUser | undefined): Promise<void> {
  if (!user) return removeTree(home);
  if (lstatSync(home, { throwIfNoEntry: false }) === undefined) return;
  lchownSync(home, process.getuid?.() ?? 0, user.gid);
  chmodSync(home, 0o710);
  for (const entry of readdirSync(home, { withFileTypes: true })) {
    const path = join(home, entry.name);
    if (!entry.isDirectory()) unlinkSync(path);
    else {
      // Also what is nested without end. The directory itself has to stay for now: its parent is not the app's.
      if (!isEmpty(path)) await removeTreeAs(user, path);
      rmdirSync(path);
    }
  }
  rmdirSync(home);
}

function isEmpty(dir: string): boolean {
  try {
    return readdirSync(dir).length === 0;
  } catch {
    return false; // not even root may look: it is not
  }
}
