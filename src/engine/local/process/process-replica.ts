/** A replica that is a child process, the leader of a process group of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { LAST_OUTPUT_MS } from "../last-output.ts";
import type { OutputSink, ReplicaAddress, ReplicaExit, RunningReplica } from "../runtime.ts";
import type { ReplicaGroup } from "./cgroup.ts";
import type { AppUser } from "./isolation/isolation.ts";
import { LineSplitter } from "./lines.ts";
import { groupIsAlive, listeningPortsOf, processTree, residentBytes } from "./proc.ts";

/** Watches a process and what it starts; calls `over` when it uses too much. Returns what ends the watch. */
export type Watch = (pid: number, over: () => void) => () => void;

/** Descriptor of the pipe on which a replica says that it listens. */
export const CHANNEL = 3;
/** Pause after each read of that pipe, in milliseconds: it is an app's to write, and nothing of it is kept. */
const CHANNEL_PAUSE_MS = 100;

/** What to start and how. */
export interface ProcessPlan {
  program: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  /** Whom it runs as; undefined: as the platform. */
  user: AppUser | undefined;
  address: ReplicaAddress;
  token: string | undefined;
  /** See {@link RunningReplica.names}. */
  names: Readonly<Record<string, string>>;
  /** The process has a pipe, its descriptor {@link CHANNEL}: a byte says that it listens, and it closes when the platform dies. */
  channel: boolean;
  /** Called when it says so, before anybody connects to it. When it throws, the process is ended. */
  listens(): void;
  /** SIGTERM goes to the whole group, because the leader is a shell that does not pass it on. */
  signalsGroup: boolean;
  /** Watches its memory, where no control group limits it. */
  watchMemory: Watch | undefined;
  group: ReplicaGroup | undefined;
  /** Watches what it writes. */
  watchStorage: Watch;
  output: OutputSink;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Called as soon as there is a process. When it throws, the process is ended. */
  started(pid: number): void;
  /** Called after the process and what it started are gone; `exited` waits for it. Never rejects. */
  ended(): Promise<void>;
}

/** Starts the process. Rejects with the system's error when there is none. */
export async function startProcess(plan: ProcessPlan): Promise<RunningReplica> {
  const child = spawn(plan.program, plan.args, {
    cwd: plan.cwd,
    env: plan.env,
    ...plan.user,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(plan.channel ? ["pipe" as const] : [])],
  });
  const { pid } = child;
  if (pid === undefined) {
    throw await new Promise((resolve) => child.once("error", resolve));
  }
  const replica = new ProcessReplica(plan, child, pid);
  try {
    plan.group?.add(pid);
    // A shell is fast: what it has started by now goes along.
    if (plan.signalsGroup) for (const started of processTree(pid)) plan.group?.add(started);
  } catch {
    // it ended before it could be put there
  }
  try {
    plan.started(pid);
  } catch (error) {
    await replica.kill();
    throw error;
  }
  return replica;
}

class ProcessReplica implements RunningReplica {
  readonly pid: number;
  readonly address: ReplicaAddress;
  readonly token: string | undefined;
  readonly names: Readonly<Record<string, string>>;
  readonly listening: Promise<void> | undefined;
  readonly exited: Promise<ReplicaExit>;
  readonly #plan: ProcessPlan;
  hasExited = false;
  #stopping = false;
  #graceIsOver = false;
  #overMemory = false;
  #overStorage = false;
  #addressTaken = false;

  constructor(plan: ProcessPlan, child: ChildProcess, pid: number) {
    this.#plan = plan;
    this.pid = pid;
    this.address = plan.address;
    this.token = plan.token;
    this.names = plan.names;
    const channel = plan.channel ? (child.stdio[CHANNEL] as Duplex) : undefined;
    this.listening = channel && listeningByte(channel, () => this.#listens());
    child.on("error", () => {
      // a failed kill: the exit tells what matters
    });
    const output = Promise.all([this.#read("stdout", child.stdout), this.#read("stderr", child.stderr)]);
    const endMemoryWatch = plan.watchMemory?.(pid, () => {
      this.#overMemory = true;
      void this.kill();
    });
    const endStorageWatch = plan.watchStorage(pid, () => {
      this.#overStorage = true;
      void this.kill();
    });
    this.exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once("exit", (code, signal) => {
        this.hasExited = true;
        resolve({ code, signal });
      });
    }).then(async (exit) => {
      endMemoryWatch?.();
      endStorageWatch();
      await this.#endGroup();
      await Promise.race([output, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
      child.stdout?.destroy();
      child.stderr?.destroy();
      channel?.destroy();
      await output;
      const failed = exit.signal !== null || exit.code !== 0;
      const outOfMemory = failed && (this.#overMemory || plan.group?.ranOutOfMemory() === true);
      await plan.ended();
      return { ...exit, outOfMemory, outOfStorage: failed && this.#overStorage, addressTaken: this.#addressTaken };
    });
  }

  listeningPorts(): number[] | undefined {
    return this.hasExited ? undefined : listeningPortsOf(processTree(this.pid));
  }

  memory(): number | undefined {
    if (this.hasExited) return undefined;
    return this.#plan.group?.memory() ?? residentBytes(processTree(this.pid));
  }

  stop(graceMs: number): Promise<ReplicaExit> {
    if (!this.#stopping && !this.hasExited) {
      this.#stopping = true;
      this.#signal(this.#plan.signalsGroup ? -this.pid : this.pid, "SIGTERM");
      const grace = setTimeout(() => this.kill(), graceMs);
      void this.exited.then(() => clearTimeout(grace));
    }
    return this.exited;
  }

  kill(): Promise<ReplicaExit> {
    this.#graceIsOver = true;
    if (!this.hasExited) this.#signal(-this.pid, "SIGKILL");
    return this.exited;
  }

  /** What the leader started ends with it; below a shell it gets the rest of the grace period first. */
  async #endGroup(): Promise<void> {
    if (this.#plan.signalsGroup && this.#stopping) {
      while (!this.#graceIsOver && groupIsAlive(this.pid)) await delay(20);
    }
    this.#signal(-this.pid, "SIGKILL");
  }

  /** False for a replica that is ended instead. */
  #listens(): boolean {
    try {
      this.#plan.listens();
      return true;
    } catch {
      void this.kill();
      return false;
    }
  }

  #signal(target: number, signal: NodeJS.Signals): void {
    try {
      process.kill(target, signal);
    } catch {
      // nothing of it is left
    }
  }

  async #read(stream: "stdout" | "stderr", pipe: Readable | null): Promise<void> {
    const splitter = new LineSplitter();
    const pass = async (lines: string[]) => {
      if (lines.length === 0) return;
      const time = this.#plan.now();
      if (stream === "stderr" && lines.some((line) => this.#saysTaken(line))) this.#addressTaken = true;
      await this.#plan.output(lines.map((line) => ({ time, stream, line })));
    };
    try {
      // The loop asks for more only after the lines were taken: an app that writes faster than the disk has to wait.
      for await (const chunk of pipe ?? []) await pass(splitter.push(chunk));
    } catch {
      // destroyed after the process ended
    }
    await pass(splitter.flush());
  }

  #saysTaken(line: string): boolean {
    const { address } = this.#plan;
    return "port" in address && line.includes("EADDRINUSE") && line.includes(String(address.port));
  }
}

/** Resolves at the first byte. No byte's value is read, and what follows is dropped, little at a time. */
function listeningByte(channel: Duplex, mayServe: () => boolean): Promise<void> {
  channel.on("error", () => undefined); // the replica is gone: its exit tells
  return new Promise((resolve) => {
    channel.once("data", () => {
      if (mayServe()) resolve();
    });
    channel.on("data", () => {
      channel.pause();
      setTimeout(() => channel.resume(), CHANNEL_PAUSE_MS).unref();
    });
  });
}
