/**
 * Reads /proc (see proc(5)): what processes exist, when they started, what they use and where they listen. A process may
 * end between two reads, so every function takes a vanished one as absent.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** One process of a tree. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  group: number;
  state: string;
}

/** The live processes below `root` or in its process group, `root` included. */
export function processTree(root: number, entries: readonly ProcessEntry[] = listProcesses()): number[] {
  const members = new Set<number>([root]);
  let grown = true;
  while (grown) {
    grown = false;
    for (const { pid, parent, group } of entries) {
      if (!members.has(pid) && (members.has(parent) || group === root)) {
        members.add(pid);
        grown = true;
      }
    }
  }
  return entries.filter(({ pid, state }) => members.has(pid) && state !== "Z").map(({ pid }) => pid);
}

/** True while a process of the group `group` lives. Zombies do not count, where /proc tells them apart. */
export function groupIsAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const entries = listProcesses();
  return entries.length === 0 || entries.some((entry) => entry.group === group && entry.state !== "Z");
}

/** Resident memory of the processes in bytes. Pages that they share count once for each. */
export function residentBytes(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids)
    kibibytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);
  return kibibytes * 1024;
}

/** TCP ports on which one of the processes listens, in ascending order; undefined when none of them can be looked into. */
export function listeningPortsOf(pids: readonly number[]): number[] | undefined {
  const sockets = new Set<string>();
  let readable: number | undefined;
  for (const pid of pids) {
    const descriptors = list(`/proc/${pid}/fd`);
    if (descriptors.length > 0) readable = pid;
    for (const fd of descriptors) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`) ?? "")?.[1];
      if (inode) sockets.add(inode);
    }
  }
  if (readable === undefined) return undefined;
  const ports = new Set<number>();
  for (const table of [`/proc/${readable}/net/tcp`, `/proc/${readable}/net/tcp6`]) {
    for (const line of (readText(table) ?? "").split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      // local_address is HEXADDRESS:HEXPORT; state 0A is LISTEN; field 9 is the inode
      if (fields[3] === "0A" && sockets.has(fields[9] ?? "")) {
        ports.add(Number.parseInt(fields[1]?.split(":")[1] ?? "0", 16));
      }
    }
  }
  return [...ports].sort((a, b) => a - b);
}

/** Processes that were started with `NAME=value` in their environment. */
export function processesWithEnv(name: string, value: string): number[] {
  const wanted = `${name}=${value}`;
  return list("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => (readText(`/proc/${pid}/environ`) ?? "").split("\0").includes(wanted));
}

/** How long a look at the whole machine serves others, in milliseconds. */
const SHARED_MS = 200;
let shared: { at: number; entries: ProcessEntry[] } | undefined;

/** Every process of the machine, as of a moment ago: one look serves all who ask for it at about the same time. */
export function recentProcesses(): ProcessEntry[] {
  const now = performance.now();
  if (!shared || now - shared.at > SHARED_MS) shared = { at: now, entries: listProcesses() };
  return shared.entries;
}

/** Every process of the machine. */
export function listProcesses(): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const entry of list("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const fields = statFields(pid);
    if (fields) found.push({ pid, state: fields[0] ?? "", parent: Number(fields[1]), group: Number(fields[2]) });
  }
  return found;
}

/** The fields after the command's name, which is in parentheses and may itself hold spaces and parentheses. */
function statFields(pid: number): string[] | undefined {
  const text = readText(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // the process has ended, or belongs to someone else
  }
}

function readLink(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined; // closed meanwhile
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // the process has ended, or belongs to someone else
  }
}
