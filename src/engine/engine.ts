/**
 * The seam below the platform. An engine keeps apps in the state that the platform wants and tells what it sees; it is
 * declarative, because Knative, one of its implementations, schedules, scales and routes by itself. Conditions carry
 * Knative Serving's own reasons and messages.
 *
 * Every engine is held to what is promised here by the cases in `test/engine/contract`.
 *
 * The environment of an app is made of the revision's `env`, then `PORT` and `HOST`, where it is to listen, which are
 * always the engine's, then its secrets, which win over all. `APPCTL_ENDPOINT` leads to the platform unless the revision
 * says otherwise. Nothing of the platform's own environment gets in, save for the language and the time zone.
 */

import type { AppRef, AppSpec, FailureCause, LogLine, ReplicaStatus } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";
import type { Lease } from "../core/lease.ts";

/**
 * One secret of a revision, pinned to a version. The engine asks its secret reader for the bytes at each start of a
 * replica, and hands them over byte for byte. One that cannot be read fails the start with `SECRET_UNREADABLE`; bytes
 * that are no UTF-8 or have a NUL cannot be a variable: `SECRET_NOT_TEXT`.
 */
export interface PinnedSecret {
  key: string;
  /** Variable with the value, or with the path of a file that has it. */
  envVar: string;
  mount: "env" | "file";
  /** Where the value is stored: see `SecretStore`. */
  id: string;
  version: number;
}

/** What runs: immutable. Two revisions of an app never share a name, until the app is deleted. */
export interface RunnableRevision {
  /** `<app>-00001`: Knative's naming. */
  name: string;
  spec: AppSpec;
  /** Digest of the app image's manifest. */
  digest: string;
  /** Environment of the app: image, spec and platform variables; secrets are not in it. */
  env: Record<string, string>;
  secrets: PinnedSecret[];
}

/** The state that the platform wants of one app. */
export interface WantedApp {
  ref: AppRef;
  /** Every revision that is to run. None: the app is stopped. */
  revisions: RunnableRevision[];
  /**
   * The one of `revisions` that gets requests as soon as it is ready; until then traffic stays where it is, and the
   * revision that has it goes on even when it is not among `revisions` any more. Null only when there are none.
   */
  traffic: string | null;
}

/**
 * What is true of one revision now. `True`: it is ready and gets the app's traffic; that stays so through crashes.
 * `False`: it failed, with a cause: `RevisionFailed`, or `RevisionDeleted` when a newer state took it back before its
 * verdict.
 *
 * `Unknown` comes in this order, each at most once: `OutOfDate` (not wanted yet, or not any more after it had served),
 * `RevisionMissing` (it starts and nothing of the app serves) or `TrafficNotMigrated` (it starts, or runs without
 * traffic, and another revision serves), `IngressNotConfigured` (it is ready and about to get the traffic).
 */
export interface Condition {
  revision: string;
  ready: "Unknown" | "True" | "False";
  reason: string;
  message: string;
  cause?: FailureCause;
}

/** Which lines of an app's output to read. Of `tail` and `since` the one that gives fewer lines counts. */
export interface LogQuery {
  /** The last lines that there are when the reader begins. */
  tail?: number;
  /** Lines from this time on, in milliseconds since the epoch. */
  since?: number;
  /** Goes on with the lines to come, until `signal` aborts, the app is deleted or the engine is closed. */
  follow: boolean;
  signal: AbortSignal;
}

/** How one engine holds what it promises; shown by `platform status`. */
export interface EngineFacts {
  name: string;
  runtime: string;
  limits: { cpu: string; mem: string; tasks: string; storage: string };
  isolation: string;
  /** An app's image has to bring the system that it runs on, with Node, and not only the layers above. */
  needsBase: boolean;
  /** What images have to be for, in OCI's words: `linux/amd64`. */
  platform: string;
}

/**
 * Keeps apps in the wanted state. Every method may be called again with the same arguments without harm, and calls for an
 * app take effect in the order in which they were made. What an engine gives and takes is a copy.
 *
 * A replica of a revision that has served is started again whenever it ends: at once, then with growing pauses. It keeps
 * its name, and `restarts` counts. A revision that never served fails at its first end, and is not tried again while it
 * stays wanted. Whether a revision has served outlives the engine, as logs do. An engine that is started on the state of
 * another one, closed or killed, runs nothing until a state is applied; what a killed one left and nobody wants does not
 * go on.
 */
export interface Engine {
  facts(): EngineFacts;
  /** Faults of a spec that this engine cannot honour: one for each such field, which the message names. */
  check(spec: AppSpec): Fault[];
  /** Things that hold less strictly than the spec says, in words. */
  warnings(spec: AppSpec): string[];
  /** Takes over the wanted state and returns at once; what comes of it is seen through `observe`. */
  apply(wanted: WantedApp): Promise<void>;
  /**
   * Conditions of a revision, the current one first, then each change, however slowly they are read, until it is `True`
   * or `False` or `signal` aborts. A failure is remembered, so that who observes late learns the cause.
   */
  observe(ref: AppRef, revision: string, signal: AbortSignal): AsyncIterable<Condition>;
  /** The app's replicas now: those that run, and after them those that are ending. */
  replicas(ref: AppRef): ReplicaStatus[];
  /** Why a replica of a wanted revision ended last, be it started again or not; undefined when none did. */
  lastFailure(ref: AppRef, revision: string): FailureCause | undefined;
  /**
   * Name of the revision that gets the app's requests now, even while its replica is being restarted; null before the
   * first was ready and while the app is stopped.
   */
  serving(ref: AppRef): string | null;
  /** A replica of that revision for one request, or null when none is ready. */
  lease(ref: AppRef): Lease | null;
  /**
   * Lines of the app's output, oldest first, of every revision and every life of its replicas. Line ends are cut off; the
   * last line of a program needs none. Bytes that are no UTF-8 become U+FFFD. A line of more than a few KiB may come in
   * pieces. The two streams have no order between them.
   */
  logs(ref: AppRef, query: LogQuery): AsyncIterable<LogLine>;
  /**
   * Ends every replica and removes what the engine keeps for the app, its logs included. Nothing is left when it
   * resolves. Requests under way are not waited for, though their replicas get their grace period.
   */
  delete(ref: AppRef): Promise<void>;
  /** Calls `listener` after something has changed that {@link Engine.serving} or {@link Engine.lease} say of an app. */
  onChange?(listener: (ref: AppRef) => void): void;
  /**
   * Every wanted state has been applied since the start: what an earlier platform left running and no state wants ends. An engine
   * whose replicas end with the platform has none.
   */
  resumed?(): Promise<void>;
  /**
   * Ends every replica gracefully: requests under way are finished, starts are taken back, readers of logs come to
   * their end. From the call on nothing is started any more.
   */
  close(): Promise<void>;
}
