/**
 * The seam inside the engine `local`: something that can run one replica of a revision. It prepares the image's content
 * in its own way, gives the replica its address, holds the limits, hands over the output and says how a replica ended.
 */
import type { AppRef, AppSpec, FailureCause } from "../../contract/types.ts";
import type { Fault } from "../../core/errors.ts";
import type { Lease } from "../../core/lease.ts";
import type { LogLimits, LogPosition } from "../../core/log-writer.ts";
import type { OutputLine } from "../../core/replica-host.ts";
import type { EngineFacts, RunnableRevision } from "../engine.ts";

/** Where a replica answers: what a {@link Lease} carries. */
export type ReplicaAddress = Lease["address"];

/** Takes a replica's output. While the promise is pending the runtime reads no more of that stream. */
export type OutputSink = (lines: OutputLine[]) => Promise<void>;

/** How a replica ended. Exactly one of `code` and `signal` is set. */
export interface ReplicaExit {
  code: number | null;
  signal: string | null;
  /** The memory limit ended it. */
  outOfMemory: boolean;
  /** Its files took more than it may have. */
  outOfStorage: boolean;
  /** Another program had taken the replica's address: a new start gets another one. */
  addressTaken: boolean;
  /** Its last lines, from a runtime that writes the log itself. */
  output?: OutputLine[];
}

/** Content of an image, ready to run. `roots` are the directories to cut from the paths of a stack trace. */
export interface Content {
  dir: string;
  /** Where `node_modules` leads, when it lies outside of `dir`. */
  packagesDir: string | undefined;
  /** The image's entry point: what `args` are handed to. */
  entrypoint?: string[] | undefined;
  roots: string[];
}

/** The log that a replica's output goes to. */
export interface OutputLog {
  dir: string;
  limits: LogLimits;
  /** Call it when the runtime has written to it. */
  moved(end: LogPosition): void;
}

/** What to start. `replica` is the replica's name; it is the same at each restart. */
export interface StartRequest {
  ref: AppRef;
  revision: RunnableRevision;
  replica: string;
  content: Content;
  /** How often it was started before. */
  restarts: number;
  /** Takes the output, unless the runtime writes it to `log` itself. */
  output: OutputSink;
  log: OutputLog;
}

/** A replica of an earlier platform that still runs, or has ended since. */
export interface AdoptedReplica {
  /** Its name. */
  replica: string;
  running: RunningReplica;
  content: Content;
  /** Milliseconds since the epoch. */
  startedAt: number;
  restarts: number;
}

/** A replica that was started and may have ended. */
export interface RunningReplica {
  readonly pid: number | null;
  readonly address: ReplicaAddress;
  /** The port that it was given in `PORT`, when that is another one than its address has, as in a container. */
  readonly port?: number;
  /** What the replica's server shim demands in `appctl-replica-token`. */
  readonly token: string | undefined;
  /** Settles when the replica itself says that it listens; undefined when nothing in it can say so. */
  readonly listening: Promise<void> | undefined;
  /** Directories of its own, each with the name that its program has for it: `$HOME`. */
  readonly names?: Readonly<Record<string, string>>;
  /** True from the moment at which it ended: earlier than `exited` settles. */
  readonly hasExited: boolean;
  /** Settles once, after the last line of output was handed over and the limits were taken away. Never rejects. */
  readonly exited: Promise<ReplicaExit>;
  /** TCP ports on which the replica listens now; undefined when they are not known. */
  listeningPorts(): number[] | undefined;
  /** Memory that the replica uses, in bytes; undefined when it is not known. */
  memory(): number | undefined;
  /** Asks it to end; after `graceMs` it is killed with everything that it started. */
  stop(graceMs: number): Promise<ReplicaExit>;
  /** Ends it at once, with everything that it started. */
  kill(): Promise<ReplicaExit>;
}

/** Runs replicas. */
export interface Runtime {
  readonly name: string;
  facts(): Pick<EngineFacts, "limits" | "isolation" | "needsBase" | "platform">;
  /** Faults of a spec that this runtime cannot honour. */
  check(spec: AppSpec): Fault[];
  /** Things that hold less strictly than the spec says, in words. */
  warnings(spec: AppSpec): string[];
  /** Ends what a killed platform left behind and cannot be adopted. Called once, before the first start. */
  recover(): Promise<void>;
  /** The replica of an earlier platform for that revision, once. Undefined when there is none. */
  adopt?(ref: AppRef, revision: RunnableRevision, log: OutputLog, output: OutputSink): AdoptedReplica | undefined;
  /** Ends the replicas of an earlier platform that nobody has adopted. */
  endOrphans?(): Promise<void>;
  /** Makes a revision's image ready to run. Rejects with a {@link StartFailure} when it cannot. */
  prepare(ref: AppRef, revision: RunnableRevision, signal: AbortSignal): Promise<Content>;
  /** Starts a replica. Rejects with a {@link StartFailure} when it cannot. */
  start(request: StartRequest): Promise<RunningReplica>;
  /**
   * Removes the images of an app that were made ready and that nothing needs any more, where they lie outside of the
   * platform. `needed` gives the digests that are needed at the moment of the call; undefined: all of them.
   */
  retain?(ref: AppRef, needed: () => ReadonlySet<string> | undefined): Promise<void>;
  /** Removes what the runtime keeps for an app that is being deleted; its replicas have ended by then. */
  forget(ref: AppRef): Promise<void>;
  /** Lets go of what the runtime itself holds; every replica has ended by then. */
  close(): Promise<void>;
}

/** A replica that could not even be started, with the cause to report. */
export class StartFailure extends Error {
  readonly failure: FailureCause;

  constructor(failure: FailureCause, options?: ErrorOptions) {
    super(failure.message, options);
    this.name = "StartFailure";
    this.failure = failure;
  }
}
