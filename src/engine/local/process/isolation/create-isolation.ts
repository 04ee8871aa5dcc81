/** Finds out how well apps can be kept apart on this machine. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AppctlError, ExitCode, messageOf } from "../../../../core/errors.ts";
import { type Isolation, sameUser } from "./isolation.ts";
import { adoptNode, makePassable, makeTree, sweepTrees } from "./shared-tree.ts";
import { UserBook } from "./user-book.ts";
import { type UserRange, userAt, userRange } from "./user-range.ts";

/** What is to be kept apart. Paths are absolute. */
export interface IsolationOptions {
  stateDir: string;
  /** A tree outside of home directories that only the system's administrator can make; undefined for everybody else. */
  sharedDir: string | undefined;
  /** The platform's Node binary. */
  node: string;
  log(message: string): void;
}

/**
 * A user of its own for each app where the platform runs as root and everything that this needs can be had: user ids, a tree
 * that those users can reach, a Node binary that they can execute. Tried with a real process; else the platform's own user.
 */
export function createIsolation(options: IsolationOptions): Isolation {
  const { stateDir, sharedDir, node, log } = options;
  if (process.getuid?.() !== 0 || sharedDir === undefined) return sameUser(stateDir, node, "it does not run as root");
  try {
    const range = userRange(stateDir, readFileSync("/proc/self/uid_map", "utf8"));
    if (!range) return sameUser(stateDir, node, "this user namespace has no user ids to spare");
    makeTree(sharedDir, stateDir);
    const reachable = isReachable(node, sharedDir, range) ? node : adoptNode(sharedDir, node);
    if (reachable !== node && !isReachable(reachable, sharedDir, range)) {
      return sameUser(stateDir, node, `another user cannot execute ${reachable}`);
    }
    sweepTrees(sharedDir).catch((error) => log(`${sharedDir}: cannot remove leftovers: ${messageOf(error)}`));
    return userEach(stateDir, sharedDir, reachable, range);
  } catch (error) {
    // Apps that had users of their own must not become root's because of a passing fault.
    if (existsSync(bookOf(stateDir))) throw isolationLost(error);
    log(`apps get no separate users: ${messageOf(error)}`);
    return sameUser(stateDir, node, messageOf(error));
  }
}

/** Lets a real process of the range's last user look. */
function isReachable(node: string, dir: string, range: UserRange): boolean {
  const { uid, gid } = userAt(range, range.count - 1);
  const { status, error } = spawnSync("/bin/sh", ["-c", 'test -x "$0" && test -x "$1"', node, dir], {
    uid,
    gid,
    cwd: "/",
    env: {},
    stdio: "ignore",
  });
  if (status === null) throw error ?? new Error("a process of another user was killed");
  return status === 0;
}

function bookOf(stateDir: string): string {
  return join(stateDir, "app-users.json");
}

function isolationLost(cause: unknown): AppctlError {
  return new AppctlError({
    code: "ISOLATION_LOST",
    exit: ExitCode.unavailable,
    message: `apps ran as separate users, which is not possible now: ${messageOf(cause)}`,
    hint: "repair this, then start the platform again; it does not run apps as root instead",
    cause,
  });
}

function userEach(stateDir: string, sharedDir: string, node: string, range: UserRange): Isolation {
  const book = new UserBook(bookOf(stateDir), range.count);
  const appsDir = join(sharedDir, "apps");
  const layersDir = join(sharedDir, "layers");
  makePassable(appsDir);
  makePassable(layersDir);
  return {
    words: "a separate user for each app, Node's permission model for frameworkApps",
    ownUsers: true,
    node,
    userOf: (ref) => userAt(range, book.numberOf(ref)),
    placesOf(ref) {
      const { uid, gid } = userAt(range, book.numberOf(ref));
      const contentDir = join(appsDir, String(uid));
      mkdirSync(contentDir, { recursive: true, mode: 0o710 });
      // Only the app itself may pass: its code is not its neighbours' business.
      chownSync(contentDir, 0, gid);
      chmodSync(contentDir, 0o710);
      return { contentDir, layersDir };
    },
    async forget(ref) {
      const number = book.remove(ref);
      if (number === undefined) return;
      const { uid, gid } = userAt(range, number);
      // Whatever of it has escaped its replicas ends with its user: the signal goes to all that this user may signal.
      spawnSync("/bin/sh", ["-c", "kill -9 -1"], { uid, gid, cwd: "/", env: {}, stdio: "ignore" });
      await rm(join(appsDir, String(uid)), { recursive: true, force: true });
    },
  };
}
