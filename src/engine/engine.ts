/**
 * The seam below the platform. An engine keeps apps in the state that the platform wants and tells what it sees; it is
 * declarative, because Knative, one of its implementations, schedules, scales and routes by itself. Conditions carry
 * Knative Serving's own reasons and messages.
 */

import type { AppRef, AppSpec, FailureCause, LogLine, ReplicaStatus } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";

/** One secret of a revision, pinned to a version. The engine asks its secret reader for the bytes when it needs them. */
export interface PinnedSecret {
  key: string;
  envVar: string;
  mount: "env" | "file";
  /** Where the value is stored: see `SecretStore`. */
  id: string;
  version: number;
}

/** What runs: immutable. Two revisions of an app never share a name. */
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
  /** The revision that gets requests as soon as it is ready; until then traffic stays where it is. */
  traffic: string | null;
}

/** What is true of one revision now. `True`: it is ready and gets the app's traffic. `False`: it failed, with a cause. */
export interface Condition {
  revision: string;
  ready: "Unknown" | "True" | "False";
  reason: string;
  message: string;
  cause?: FailureCause;
}

/** Where a request for an app goes. `release` is called once, when the exchange is over. */
export interface Lease {
  revision: string;
  replica: string;
  address: { socketPath: string } | { host: string; port: number };
  /** Token that the replica's server shim demands in `appctl-replica-token`. */
  token?: string;
  release(): void;
}

/** Which lines of an app's output to read. `since` is a time in milliseconds since the epoch. */
export interface LogQuery {
  tail?: number;
  since?: number;
  follow: boolean;
  signal: AbortSignal;
}

/** How one engine holds what it promises; shown by `platform status`. */
export interface EngineFacts {
  name: string;
  runtime: string;
  limits: { cpu: string; mem: string; tasks: string; storage: string };
  isolation: string;
}

/** Keeps apps in the wanted state. Every method may be called again with the same arguments without harm. */
export interface Engine {
  facts(): EngineFacts;
  /** Faults of a spec that this engine cannot honour: one for each such field. */
  check(spec: AppSpec): Fault[];
  /** Things that hold less strictly than the spec says, in words. */
  warnings(spec: AppSpec): string[];
  /** Takes over the wanted state and returns at once; what comes of it is seen through `observe`. */
  apply(wanted: WantedApp): Promise<void>;
  /** Conditions of a revision, the current one first, then each change, until it is `True` or `False` or `signal` aborts. */
  observe(ref: AppRef, revision: string, signal: AbortSignal): AsyncIterable<Condition>;
  /** The app's replicas now. */
  replicas(ref: AppRef): ReplicaStatus[];
  /** Name of the revision that gets the app's requests now; null before the first was ready and while it is stopped. */
  serving(ref: AppRef): string | null;
  /** A replica of that revision for one request, or null when none is ready. */
  lease(ref: AppRef): Lease | null;
  /** Lines of the app's output, oldest first. */
  logs(ref: AppRef, query: LogQuery): AsyncIterable<LogLine>;
  /** Ends every replica and removes what the engine keeps for the app, its logs included. */
  delete(ref: AppRef): Promise<void>;
  /** Ends every replica in good order. */
  close(): Promise<void>;
}
