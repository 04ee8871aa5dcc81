/** Which users of the system apps get: numbers that no person, service or container of the machine has. */
import { createHash } from "node:crypto";
import type { AppUser } from "./isolation.ts";

/** A run of user ids. */
export interface UserRange {
  first: number;
  count: number;
}

/** Apps of one platform at the most, where the machine has room for that many. */
const SLOT = 4096;
/** Above everything that is handed out to containers, see systemd's UIDS-GIDS.md; below 2^31. */
const HIGH: UserRange = { first: 0x7000_0000, count: 0x0f00_0000 };
/** Users that systemd draws for services that run for a while: what a container has, which is often given ids up to 65535. */
const LOW: UserRange = { first: 61_184, count: 4_336 };
const LOW_SLOT = 271;

/**
 * The users of the platform with this state directory. `uidMap` is the text of `/proc/self/uid_map`: in a user namespace
 * not every number exists. Undefined when neither range does.
 */
export function userRange(stateDir: string, uidMap: string): UserRange | undefined {
  const draw = createHash("sha256").update(stateDir).digest().readUInt32BE(0);
  for (const [range, slot] of [
    [HIGH, SLOT],
    [LOW, LOW_SLOT],
  ] as const) {
    const first = range.first + (draw % Math.floor(range.count / slot)) * slot;
    if (isMapped(first, slot, uidMap)) return { first, count: slot };
  }
  return undefined;
}

/** The user with the number `index` in the range. */
export function userAt(range: UserRange, index: number): AppUser {
  const uid = range.first + index;
  return { uid, gid: uid };
}

/** Lines of uid_map are `inside outside count`; see user_namespaces(7). */
function isMapped(first: number, count: number, uidMap: string): boolean {
  return uidMap.split("\n").some((line) => {
    const [inside, , length] = line.trim().split(/\s+/).map(Number);
    return inside !== undefined && length !== undefined && inside <= first && first + count <= inside + length;
  });
}
