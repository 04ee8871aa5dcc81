/** Starts replicas as children of this process. It parses nothing that comes from them: it counts bytes and cuts lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { LineSplitter } from "../core/lines.ts";
import { type LogPosition, LogWriter } from "../core/log-writer.ts";
import { RecentOutput } from "../core/recent-output.ts";
import {
  CHANNEL,
  type HostedReplica,
  LAST_OUTPUT_MS,
  type OutputLine,
  type ProcessEnd,
  type ReplicaHost,
  type ReplicaOrder,
} from "../core/replica-host.ts";
import type { HeldReplica } from "./messages.ts";

/** Pause after each read of the pipe {@link CHANNEL}, in milliseconds: it is an app's to write, and nothing of it is kept. */
const CHANNEL_PAUSE_MS = 100;
/** Most lines of a replica that are kept in a second. A flood of empty lines costs far more than its bytes. */
const LINES_A_SECOND = 300_000;
/** Lines that are written at once: other replicas get their turn in between. */
const BATCH_LINES = 2_000;
/** What a keeper needs; all have defaults. */
export interface KeeperOptions {
  /** Milliseconds since the epoch. */
  now?: () => number;
  linesASecond?: number;
}

/** Holds the processes of replicas, their pipes and their log files. */
export class ReplicaKeeper implements ReplicaHost {
  readonly #now: () => number;
  readonly #linesASecond: number;
  readonly #replicas = new Map<string, KeptReplica>();
  /** Writers of logs, by directory: replicas of one app share one. */
  readonly #logs = new Map<string, { writer: LogWriter; users: number }>();

  constructor({ now = Date.now, linesASecond = LINES_A_SECOND }: KeeperOptions = {}) {
    this.#now = now;
    this.#linesASecond = linesASecond;
  }

  async start(order: ReplicaOrder): Promise<HostedReplica> {
    const child = spawn(order.program, order.args, {
      cwd: order.cwd,
      env: order.env,
      ...order.user,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", ...(order.channel ? ["pipe" as const] : [])],
    });
    const { pid } = child;
    if (pid === undefined) throw await new Promise((resolve) => child.once("error", resolve));
    for (const dir of order.groups) {
      try {
        writeFileSync(join(dir, "cgroup.procs"), String(pid));
      } catch {
        // it ended before it could be put there
      }
    }
    const replica = new KeptReplica(order, child, pid, {
      now: this.#now,
      linesASecond: this.#linesASecond,
      append: this.#open(order),
      finished: () => {
        this.#replicas.delete(order.id);
        return this.#close(order.log.dir);
      },
    });
    this.#replicas.set(order.id, replica);
    return replica;
  }

  list(): HostedReplica[] {
    return [...this.#replicas.values()];
  }

  /** The replica with that name; undefined for one that is finished. */
  get(id: string): HostedReplica | undefined {
    return this.#replicas.get(id);
  }

  /** Every replica that is not finished yet, as plain data. */
  held(): HeldReplica[] {
    return [...this.#replicas.values()].map(({ id, pid, note, listens, end }) => ({ id, pid, note, listens, end }));
  }

  #open({ log: { dir, limits } }: ReplicaOrder): (text: string) => Promise<void> {
    let log = this.#logs.get(dir);
    if (!log) {
      log = { writer: new LogWriter(dir, limits, (end) => this.#moved(dir, end)), users: 0 };
      this.#logs.set(dir, log);
    }
    log.users++;
    const { writer } = log;
    return (text) => writer.append(text);
  }

  #moved(dir: string, end: LogPosition): void {
    for (const replica of this.#replicas.values()) if (replica.logDir === dir) replica.logMoved?.(end);
  }

  async #close(dir: string): Promise<void> {
    const log = this.#logs.get(dir);
    if (!log || --log.users > 0) return;
    this.#logs.delete(dir);
    await log.writer.close();
  }
}

interface KeptParts {
  now(): number;
  linesASecond: number;
  append(text: string): Promise<void>;
  finished(): Promise<void>;
}

class KeptReplica implements HostedReplica {
  readonly id: string;
  readonly pid: number;
  readonly note: string;
  readonly logDir: string;
  readonly listening: Promise<void>;
  readonly exited: Promise<ProcessEnd>;
  listens = false;
  end: ProcessEnd | null = null;
  logMoved: ((end: LogPosition) => void) | undefined;
  readonly #order: ReplicaOrder;
  readonly #child: ChildProcess;
  readonly #parts: KeptParts;
  readonly #output: Promise<unknown>;
  readonly #recent = new RecentOutput<OutputLine>();
  #finishing: Promise<OutputLine[]> | undefined;
  /** Lines that were kept since {@link #second} began, and those that were not. */
  #lines = 0;
  #dropped = 0;
  #second = 0;

  constructor(order: ReplicaOrder, child: ChildProcess, pid: number, parts: KeptParts) {
    this.id = order.id;
    this.pid = pid;
    this.note = order.note;
    this.logDir = order.log.dir;
    this.#order = order;
    this.#child = child;
    this.#parts = parts;
    child.on("error", () => {
      // a failed kill: the exit tells what matters
    });
    this.listening = order.channel ? firstByte(child.stdio[CHANNEL] as Duplex) : new Promise(() => {});
    void this.listening.then(() => {
      this.listens = true;
    });
    this.#output = Promise.all([this.#read("stdout", child.stdout), this.#read("stderr", child.stderr)]);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.end = { code, signal };
        resolve(this.end);
      });
    });
  }

  get hasExited(): boolean {
    return this.end !== null;
  }

  signal(signal: NodeJS.Signals, target: "leader" | "group"): void {
    // A leader that has ended has left its number to others; that of its group is taken as long as a member lives.
    if (target === "leader" && this.hasExited) return;
    try {
      process.kill(target === "group" ? -this.pid : this.pid, signal);
    } catch {
      // nothing of it is left
    }
  }

  finish(): Promise<OutputLine[]> {
    this.#finishing ??= this.#finish();
    return this.#finishing;
  }

  async #finish(): Promise<OutputLine[]> {
    await Promise.race([this.#output, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    this.#child.stdio[CHANNEL]?.destroy();
    await this.#output;
    await this.#parts.finished();
    return [...this.#recent.lines()];
  }

  async #read(stream: "stdout" | "stderr", pipe: Readable | null): Promise<void> {
    const splitter = new LineSplitter();
    try {
      // The loop asks for more only after the lines were taken: an app that writes faster than the disk has to wait.
      for await (const chunk of pipe ?? []) await this.#keep(stream, splitter.pushAtMost(chunk, this.#room()));
    } catch {
      // destroyed after the process ended
    }
    await this.#keep(stream, { lines: splitter.flush(), dropped: 0 });
    if (this.#dropped > 0) await this.#reportDropped(this.#parts.now());
  }

  /** How many lines may be kept now. */
  #room(): number {
    const second = Math.floor(this.#parts.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    return Math.max(0, this.#parts.linesASecond - this.#lines);
  }

  async #keep(stream: "stdout" | "stderr", { lines, dropped }: { lines: string[]; dropped: number }): Promise<void> {
    const time = this.#parts.now();
    if (lines.length > 0 && this.#dropped > 0) await this.#reportDropped(time);
    this.#lines += lines.length;
    this.#dropped += dropped;
    for (let at = 0; at < lines.length; at += BATCH_LINES) {
      await this.#write(lines.slice(at, at + BATCH_LINES).map((line) => ({ time, stream, line })));
    }
  }

  async #reportDropped(time: number): Promise<void> {
    const line = `${this.#dropped} lines were not kept: more than ${this.#parts.linesASecond} lines a second`;
    this.#dropped = 0;
    await this.#write([{ time, stream: "stderr", line }]);
  }

  /** Writes lines of one time. */
  #write(lines: OutputLine[]): Promise<void> {
    this.#recent.add(lines);
    const { replica, revision } = this.#order.log;
    const written = new Date(lines[0]?.time ?? 0).toISOString();
    const texts = lines.map(({ stream, line }) => JSON.stringify({ time: written, replica, revision, stream, line }));
    return this.#parts.append(`${texts.join("\n")}\n`);
  }
}

/** Resolves at the first byte. No byte's value is read, and what follows is dropped, little at a time. */
function firstByte(channel: Duplex): Promise<void> {
  channel.on("error", () => undefined); // the replica is gone: its exit tells
  return new Promise((resolve) => {
    channel.once("data", () => resolve());
    channel.on("data", () => {
      channel.pause();
      setTimeout(() => channel.resume(), CHANNEL_PAUSE_MS).unref();
    });
  });
}
