/** A replica that is a process, the leader of a process group of its own. Its host starts it and reads its output. */
import { setTimeout as delay } from "node:timers/promises";
import type { HostedReplica, OutputLine } from "../../../core/replica-host.ts";
import type { ReplicaAddress, ReplicaExit, RunningReplica } from "../runtime.ts";
import type { ReplicaGroup } from "./cgroup.ts";
import { groupIsAlive, listeningPortsOf, processTree, recentProcesses, residentBytes } from "./proc.ts";

/** Watches a process and what it starts; calls `over` when it uses too much. Returns what ends the watch. */
export type Watch = (pid: number, over: () => void) => () => void;

/** What the platform knows of a process, and does for it. */
export interface ProcessPlan {
  address: ReplicaAddress;
  token: string | undefined;
  /** See {@link RunningReplica.names}. */
  names: Readonly<Record<string, string>>;
  /** The process says itself that it listens. */
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
  /** Called after the process and what it started are gone; `exited` waits for it. Never rejects. */
  ended(): Promise<void>;
}

/** A process of a host as a replica of the engine. */
export class ProcessReplica implements RunningReplica {
  readonly pid: number;
  readonly address: ReplicaAddress;
  readonly token: string | undefined;
  readonly names: Readonly<Record<string, string>>;
  readonly listening: Promise<void> | undefined;
  readonly exited: Promise<ReplicaExit>;
  readonly #plan: ProcessPlan;
  readonly #hosted: HostedReplica;
  #stopping = false;
  #graceIsOver = false;
  #overMemory = false;
  #overStorage = false;

  constructor(plan: ProcessPlan, hosted: HostedReplica) {
    this.#plan = plan;
    this.#hosted = hosted;
    this.pid = hosted.pid;
    this.address = plan.address;
    this.token = plan.token;
    this.names = plan.names;
    this.listening = plan.channel ? this.#listening() : undefined;
    const endMemoryWatch = plan.watchMemory?.(this.pid, () => {
      this.#overMemory = true;
      void this.kill();
    });
    const endStorageWatch = plan.watchStorage(this.pid, () => {
      this.#overStorage = true;
      void this.kill();
    });
    this.exited = hosted.exited.then(async (end) => {
      endMemoryWatch?.();
      endStorageWatch();
      await this.#endGroup();
      const output = await hosted.finish();
      const failed = end.signal !== null || end.code !== 0;
      const outOfMemory = failed && (this.#overMemory || plan.group?.ranOutOfMemory() === true);
      await plan.ended();
      const outOfStorage = failed && this.#overStorage;
      return { ...end, outOfMemory, outOfStorage, addressTaken: this.#saysTaken(output), output };
    });
  }

  get hasExited(): boolean {
    return this.#hosted.hasExited;
  }

  listeningPorts(): number[] | undefined {
    return this.hasExited ? undefined : listeningPortsOf(processTree(this.pid, recentProcesses()));
  }

  memory(): number | undefined {
    if (this.hasExited) return undefined;
    return this.#plan.group?.memory() ?? residentBytes(processTree(this.pid, recentProcesses()));
  }

  stop(graceMs: number): Promise<ReplicaExit> {
    if (!this.#stopping && !this.hasExited) {
      this.#stopping = true;
      this.#hosted.signal("SIGTERM", this.#plan.signalsGroup ? "group" : "leader");
      const grace = setTimeout(() => this.kill(), graceMs);
      void this.exited.then(() => clearTimeout(grace));
    }
    return this.exited;
  }

  kill(): Promise<ReplicaExit> {
    this.#graceIsOver = true;
    if (!this.hasExited) this.#hosted.signal("SIGKILL", "group");
    return this.exited;
  }

  /** What the leader started ends with it; below a shell it gets the rest of the grace period first. */
  async #endGroup(): Promise<void> {
    if (this.#plan.signalsGroup && this.#stopping) {
      while (!this.#graceIsOver && groupIsAlive(this.pid)) await delay(20);
    }
    this.#hosted.signal("SIGKILL", "group");
  }

  /** Never resolves for a replica that is ended instead. */
  async #listening(): Promise<void> {
    await this.#hosted.listening;
    try {
      this.#plan.listens();
    } catch {
      await this.kill();
      await new Promise(() => {});
    }
  }

  #saysTaken(output: OutputLine[]): boolean {
    const { address } = this.#plan;
    if (!("port" in address)) return false;
    return output.some(
      ({ stream, line }) => stream === "stderr" && line.includes("EADDRINUSE") && line.includes(String(address.port)),
    );
  }
}
