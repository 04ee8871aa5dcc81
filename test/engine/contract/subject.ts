/** What an engine brings along to be held to the contract. */
import type { AppSpec } from "../../../src/contract/types.ts";
import type { Lease } from "../../../src/core/lease.ts";
import type { Engine, PinnedSecret, RunnableRevision, WantedApp } from "../../../src/engine/engine.ts";
import type { Behaviour } from "./program.ts";

/** One engine. */
export interface Subject {
  name: string;
  /** Cases that it cannot honour, by `<area>: <case>`, each with the reason. They are shown as skipped, with it. */
  exceptions: Readonly<Record<string, string>>;
  /** Makes a stage for one case. All that is on it ends with the test. */
  stage(): Promise<Stage>;
}

/** Times in milliseconds that a case needs of an engine. */
export interface Wishes {
  /** How long requests under way may take when a replica is to end. Default: longer than a test. */
  drainMs?: number;
}

/** What a revision of a case has besides its program. */
export interface RevisionDetails {
  spec?: Partial<AppSpec>;
  env?: Record<string, string>;
  secrets?: PinnedSecret[];
  /** The entry point of its image. */
  entrypoint?: string[];
}

/** A platform that is to be killed. */
export interface DoomedPlatform {
  lease: Lease;
  /** Resolves when its engine has the line in its log. */
  logged(line: string): Promise<void>;
  kill(): Promise<void>;
}

/** State of a platform, and the engines that run on it one after the other. */
export interface Stage {
  /** Starts an engine on the state. The one before was closed or killed. A replica has half a second to end after SIGTERM. */
  open(wishes?: Wishes): Promise<Engine>;
  /** Makes a revision of the app `web` whose program behaves so. */
  revision(name: string, behaviour: Behaviour, details: RevisionDetails): Promise<RunnableRevision>;
  /** Stores one version of a secret for the engines' secret reader; undefined takes it away. */
  secret(id: string, version: number, value: Buffer | undefined): void;
  /**
   * A platform whose engine gets `wanted`, serves it, and is killed by `kill`: it can end and say nothing. The lease is its
   * own, so only its address can be asked.
   */
  doomedPlatform(wanted: WantedApp): Promise<DoomedPlatform>;
}
