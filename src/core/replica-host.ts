/** What starts and holds the processes of replicas: this process itself, or the supervisor above the platform. */
import type { LogLimits, LogPosition } from "./log-writer.ts";

/** One line of a replica's output. `time` is in milliseconds since the epoch. */
export interface OutputLine {
  time: number;
  stream: "stdout" | "stderr";
  line: string;
}

/** A process to start. */
export interface ReplicaOrder {
  /** Names the replica; unique. */
  id: string;
  program: string;
  args: string[];
  cwd: string;
  /** Its whole environment; values of secrets are in it. */
  env: Record<string, string>;
  /** The user that it runs as; undefined: the host's own. */
  user?: { uid: number; gid: number } | undefined;
  /** The process gets a pipe with the descriptor {@link CHANNEL}. */
  channel: boolean;
  /** Directories of control groups that it is put into. */
  groups: string[];
  /** Where its output goes, and what each line says of its origin. */
  log: { dir: string; limits: LogLimits; replica: string; revision: string };
  /** Handed back in {@link HostedReplica.note}: what the next platform needs to go on with the replica. */
  note: string;
}

/** How a process ended. Exactly one of them is set. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
}

/** The process of a replica. */
export interface HostedReplica {
  readonly id: string;
  readonly pid: number;
  readonly note: string;
  /** Resolves at the first byte from {@link CHANNEL}, of which nothing else is read. */
  readonly listening: Promise<void>;
  /** True from the moment at which it ended. */
  readonly hasExited: boolean;
  /** Resolves when it ends. Never rejects. */
  readonly exited: Promise<ProcessEnd>;
  /** Called when its log has grown. */
  set logMoved(moved: ((end: LogPosition) => void) | undefined);
  /** Sends a signal to the process, or to its whole process group. Nothing happens when nothing of it is left. */
  signal(signal: NodeJS.Signals, target: "leader" | "group"): void;
  /**
   * Call it after the end: waits a moment for the last output, closes the pipes and forgets the replica. Resolves with its last
   * lines, bounded in number and size.
   */
  finish(): Promise<OutputLine[]>;
}

/** Starts processes, writes their output to log files and keeps how they ended. */
export interface ReplicaHost {
  /** Starts a process, the leader of a group of its own. Rejects with the system's error when there is none. */
  start(order: ReplicaOrder): Promise<HostedReplica>;
  /** Every replica that is not finished yet, also those of an earlier platform. */
  list(): HostedReplica[];
}

/** Keeps notes in memory for the next platform: they outlive this one, and no file has them. */
export interface NoteKeeper {
  /** The notes of an earlier platform, by name. */
  notes(): ReadonlyMap<string, string>;
  /** Keeps a note, or forgets it. */
  keepNote(name: string, note: string | null): void;
}

/** Descriptor of the pipe on which a replica says that it listens, and which closes when its host dies. */
export const CHANNEL = 3;

/** How long a host waits for the output of a process that has ended, in milliseconds: a program outside its group may hold it. */
export const LAST_OUTPUT_MS = 1_000;
