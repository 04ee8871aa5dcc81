/**
 * Limits by control groups: the kernel's own (cgroups(7)), version 2 or the controllers of version 1, whichever this
 * machine has and this user may write. Below a parent of the platform's own, each replica gets one group per hierarchy.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The limits of one replica. */
export interface Limits {
  memoryBytes?: number;
  cores?: number;
  /** Processes and threads together. */
  tasks?: number;
}

/** The control groups of one replica. */
export interface ReplicaGroup {
  /** Puts a process, and what it will start, under the limits. */
  add(pid: number): void;
  /** True when the kernel ended a process for its memory limit. */
  ranOutOfMemory(): boolean;
  /** Memory in use, in bytes; undefined without a memory group. */
  memory(): number | undefined;
}

type Controller = "memory" | "cpu" | "pids";

const CONTROLLERS = ["memory", "cpu", "pids"] as const;

/** One controller at one writable place. */
interface Hierarchy {
  version: 1 | 2;
  controllers: Controller[];
  parent: string;
}

/** Period of the CPU quota in microseconds: the kernel's default. */
const CPU_PERIOD = 100_000;
const LEAST_CPU_QUOTA = 1_000;

/** The control groups that this process may use, found once. */
export class Cgroups {
  readonly #hierarchies: Hierarchy[];

  private constructor(hierarchies: Hierarchy[]) {
    this.#hierarchies = hierarchies;
  }

  /** Finds writable hierarchies and makes the parent group `name` in each. `root` is where they are mounted. */
  static detect(name: string, root = "/sys/fs/cgroup", membership = readMembership()): Cgroups {
    const found: Hierarchy[] = [];
    const v2 = existsSync(join(root, "cgroup.controllers"))
      ? v2Hierarchy(root, membership.get("") ?? "/", name)
      : undefined;
    if (v2) found.push(v2);
    for (const controller of CONTROLLERS) {
      if (v2?.controllers.includes(controller)) continue;
      const v1 = v1Hierarchy(root, controller, membership.get(controller) ?? "/", name);
      if (v1) found.push(v1);
    }
    return new Cgroups(found);
  }

  /** No control groups at all: every limit is soft. */
  static none(): Cgroups {
    return new Cgroups([]);
  }

  /** How a limit is held, `cgroup v1` or `cgroup v2`; undefined when no group can hold it. */
  holds(controller: Controller): string | undefined {
    const hierarchy = this.#hierarchies.find((one) => one.controllers.includes(controller));
    return hierarchy && `cgroup v${hierarchy.version}`;
  }

  /** Directories of the groups that {@link create} makes for `id`. */
  dirsOf(id: string): string[] {
    return this.#hierarchies.map(({ parent }) => join(parent, id));
  }

  /** Makes the groups of a replica; `id` must be new. */
  create(id: string, limits: Limits): void {
    const dirs = this.dirsOf(id);
    for (const [at, hierarchy] of this.#hierarchies.entries()) {
      const dir = dirs[at] ?? "";
      mkdirSync(dir, { recursive: true });
      for (const [file, value, optional] of settings(hierarchy, limits)) {
        if (!optional || existsSync(join(dir, file))) writeFileSync(join(dir, file), value);
      }
    }
  }

  /** The groups that {@link create} made for `id`. */
  open(id: string): ReplicaGroup {
    const dirs = this.dirsOf(id);
    const memoryAt = this.#hierarchies.findIndex((one) => one.controllers.includes("memory"));
    const memory = this.#hierarchies[memoryAt];
    const memoryDir = dirs[memoryAt] ?? "";
    return {
      add: (pid) => {
        for (const dir of dirs) writeFileSync(join(dir, "cgroup.procs"), String(pid));
      },
      ranOutOfMemory: () => {
        if (!memory) return false;
        const file = join(memoryDir, memory.version === 2 ? "memory.events" : "memory.oom_control");
        return Number(/^oom_kill (\d+)$/m.exec(readText(file))?.[1] ?? 0) > 0;
      },
      memory: () => {
        if (!memory) return undefined;
        const text = readText(join(memoryDir, memory.version === 2 ? "memory.current" : "memory.usage_in_bytes"));
        return text === "" ? undefined : Number(text);
      },
    };
  }

  /** Removes the platform's parent groups, when nothing is left in them. */
  close(): void {
    for (const { parent } of this.#hierarchies) tryRemove(parent);
  }
}

/** Process ids in a control group; empty when it is gone. */
export function membersOf(dir: string): number[] {
  return readText(join(dir, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
}

/** Removes a group's directory; false while processes are still in it. */
export function removeGroup(dir: string): boolean {
  return !existsSync(dir) || tryRemove(dir);
}

function settings(hierarchy: Hierarchy, limits: Limits): [file: string, value: string, optional?: true][] {
  const out: [string, string, true?][] = [];
  const { memoryBytes, cores, tasks } = limits;
  if (hierarchy.controllers.includes("memory") && memoryBytes !== undefined) {
    if (hierarchy.version === 2) {
      out.push(["memory.max", String(memoryBytes)], ["memory.swap.max", "0", true], ["memory.oom.group", "1", true]);
    } else {
      // swap counts in with memory.memsw, which may only be set after the limit that it must not be below
      out.push(
        ["memory.limit_in_bytes", String(memoryBytes)],
        ["memory.memsw.limit_in_bytes", String(memoryBytes), true],
      );
    }
  }
  if (hierarchy.controllers.includes("cpu") && cores !== undefined) {
    const quota = String(Math.max(LEAST_CPU_QUOTA, Math.round(cores * CPU_PERIOD)));
    if (hierarchy.version === 2) out.push(["cpu.max", `${quota} ${CPU_PERIOD}`]);
    else out.push(["cpu.cfs_period_us", String(CPU_PERIOD)], ["cpu.cfs_quota_us", quota]);
  }
  if (hierarchy.controllers.includes("pids") && tasks !== undefined) out.push(["pids.max", String(tasks)]);
  return out;
}

/**
 * A group that has processes of its own cannot hand controllers to groups below it, so the platform's own group rarely
 * does: the nearest ancestor that this user may write is taken (with systemd's delegation, the user's slice).
 */
function v2Hierarchy(root: string, own: string, name: string): Hierarchy | undefined {
  for (const base of ancestors(root, own)) {
    const parent = join(base, name);
    if (!isWritable(base)) continue;
    const existed = existsSync(parent);
    try {
      enable(base);
      mkdirSync(parent, { recursive: true });
      enable(parent);
      const handedDown = readText(join(parent, "cgroup.subtree_control")).trim().split(" ");
      const controllers = CONTROLLERS.filter((one) => handedDown.includes(one));
      if (controllers.length > 0) return { version: 2, controllers, parent };
    } catch {
      // not to be had here: the next ancestor may do
    }
    if (!existed) tryRemove(parent);
  }
  return undefined;
}

/** Hands the controllers of a version 2 group down to those below it, as far as it has them and may. */
function enable(dir: string): void {
  const available = readText(join(dir, "cgroup.controllers")).trim().split(" ");
  const enabled = readText(join(dir, "cgroup.subtree_control")).trim().split(" ");
  for (const controller of CONTROLLERS) {
    if (!available.includes(controller) || enabled.includes(controller)) continue;
    try {
      writeFileSync(join(dir, "cgroup.subtree_control"), `+${controller}`);
    } catch {
      // busy or not allowed: what is handed down in the end is read back by the caller
    }
  }
}

const V1 = {
  memory: { limit: "memory.limit_in_bytes", mounts: ["memory"] },
  cpu: { limit: "cpu.cfs_quota_us", mounts: ["cpu", "cpu,cpuacct"] },
  pids: { limit: "pids.max", mounts: ["pids"] },
};

function v1Hierarchy(root: string, controller: Controller, own: string, name: string): Hierarchy | undefined {
  const { limit, mounts } = V1[controller];
  for (const mount of mounts) {
    for (const base of ancestors(join(root, mount), own)) {
      const parent = join(base, name);
      if (!existsSync(join(base, "cgroup.procs")) || !isWritable(base)) continue;
      try {
        mkdirSync(parent, { recursive: true });
        if (isWritable(join(parent, limit))) return { version: 1, controllers: [controller], parent };
        tryRemove(parent);
      } catch {
        // read-only or not allowed: the next place may do
      }
    }
  }
  return undefined;
}

/** `root/own` and every directory above it down to `root` itself, the nearest first. */
function ancestors(root: string, own: string): string[] {
  const found: string[] = [];
  for (let path = own; ; path = dirname(path)) {
    if (existsSync(join(root, path))) found.push(join(root, path));
    if (path === "/" || path === ".") return found;
  }
}

/** This process's groups by controller; version 2 has the name "". Lines of /proc/self/cgroup are `id:controllers:path`. */
function readMembership(): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of readText("/proc/self/cgroup").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) groups.set(controller, path ?? "/");
  }
  return groups;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function tryRemove(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch {
    return false; // processes or groups are still in it
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not there: the same as empty for every reader here
  }
}
