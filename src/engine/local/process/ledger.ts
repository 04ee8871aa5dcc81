/**
 * What the platform must clean up if it is killed: one JSON file for each replica that was started and is not known to be
 * dead. A file is written before its process exists and completed right after, so no replica is ever without one.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { bootId } from "../../../core/boot-id.ts";
import { messageOf } from "../../../core/errors.ts";
import { startTimeOf } from "../../../core/start-time.ts";
import { membersOf, removeGroup } from "./cgroup.ts";
import type { AppUser } from "./isolation/isolation.ts";
import { groupIsAlive, processesWithEnv } from "./proc.ts";
import { removeHome } from "./replica-home.ts";

/** Environment variable that marks a replica's processes; its value is {@link ReplicaRecord.id}. */
export const MARKER = "APPCTL_REPLICA_ID";

/** One replica's file. */
export interface ReplicaRecord {
  id: string;
  /** Undefined between writing the file and the start of the process. */
  pid?: number;
  /** Clock ticks since boot at which `pid` started: together they name a process for good. */
  startTime?: number;
  boot: string;
  /** Its directory, which the app could write. In records of older versions it is among `dirs`. */
  home?: string;
  /** Directories of the replica that only the platform could change. */
  dirs: string[];
  /** The user that it ran as, when that was not the platform's own. */
  user?: AppUser | undefined;
  cgroups: string[];
}

/** How long a killed process may take to vanish, in milliseconds. */
const VANISH_MS = 5_000;

/** The files of all replicas, in `dir`. */
export class ReplicaLedger {
  readonly #dir: string;
  readonly #boot = bootId();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /** Writes a replica's file, atomically. Call it before the process is started and again with its `pid`. */
  write(record: Omit<ReplicaRecord, "boot" | "startTime">): void {
    const startTime = record.pid === undefined ? undefined : startTimeOf(record.pid);
    const full: ReplicaRecord = { ...record, boot: this.#boot, ...(startTime === undefined ? {} : { startTime }) };
    const file = this.#file(record.id);
    writeFileSync(`${file}.new`, JSON.stringify(full), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** What is recorded of a replica; undefined when there is nothing. */
  read(id: string): ReplicaRecord | undefined {
    return readRecord(this.#file(id));
  }

  /** Forgets a replica that is dead; its directories and groups are removed. */
  async settle(record: Omit<ReplicaRecord, "boot" | "startTime">): Promise<void> {
    await cleanUp(record);
    rmSync(this.#file(record.id), { force: true });
  }

  /**
   * Ends the replicas of a killed platform and removes what they had, except for those that a supervisor holds. Gives the number
   * of those that still ran. What cannot
   * be removed is reported and tried again next time: it must not prevent the start of the platform.
   */
  async recover(log: (message: string) => void, isHeld: (id: string) => boolean = () => false): Promise<number> {
    let ended = 0;
    for (const name of readdirSync(this.#dir)) {
      const file = join(this.#dir, name);
      const record = name.endsWith(".json") ? readRecord(file) : undefined;
      if (record && isHeld(record.id)) continue;
      try {
        if (record) {
          if (record.boot === this.#boot && (await endReplica(record))) ended++;
          await cleanUp(record);
        }
        rmSync(file, { force: true });
      } catch (error) {
        log(`what replica ${record?.id} had could not be removed: ${messageOf(error)}`);
      }
    }
    return ended;
  }

  #file(id: string): string {
    return join(this.#dir, `${id}.json`);
  }
}

async function endReplica(record: ReplicaRecord): Promise<boolean> {
  const members = new Set(record.cgroups.flatMap(membersOf));
  const { pid, startTime } = record;
  const isSame = pid !== undefined && startTime !== undefined && startTimeOf(pid) === startTime;
  // The leader may be gone while what it started lives on in its group. A group's number is not given to a new process
  // while a member lives, and the marker tells ours from a stranger's group of the same number.
  if (pid !== undefined && (isSame || processesWithEnv(MARKER, record.id).length > 0)) members.add(-pid);
  for (const marked of processesWithEnv(MARKER, record.id)) members.add(marked);
  if (members.size === 0) return false;
  for (const member of members) killIfAlive(member);
  const alive = () =>
    [...members].some((member) => (member < 0 ? groupIsAlive(-member) : startTimeOf(member) !== undefined));
  for (let waited = 0; waited < VANISH_MS && alive(); waited += 10) await delay(10);
  return true;
}

async function cleanUp(record: Pick<ReplicaRecord, "id" | "home" | "dirs" | "user" | "cgroups">): Promise<void> {
  // What had left the replica's process group is known by its control groups, or by its mark. First every process, then files.
  // With a control group nothing leaves it, so that no look at every process is needed.
  if (record.cgroups.length === 0) for (const pid of processesWithEnv(MARKER, record.id)) killIfAlive(pid);
  for (let waited = 0; waited < VANISH_MS; waited += 10) {
    if (record.cgroups.filter((dir) => existsSync(dir) && !removeGroup(dir)).length === 0) break;
    for (const pid of record.cgroups.flatMap(membersOf)) killIfAlive(pid);
    await delay(10);
  }
  for (const dir of record.dirs) await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  if (record.home !== undefined) await removeHome(record.home, record.user);
}

function killIfAlive(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // ended by itself meanwhile
  }
}

function readRecord(file: string): ReplicaRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // cut short by a crash of the machine: nothing of that boot runs any more
  }
}
