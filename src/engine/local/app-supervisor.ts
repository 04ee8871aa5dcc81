/** Keeps one app in its wanted state: which revisions run, which one gets the traffic, what is true of each. */
import { isDeepStrictEqual } from "node:util";
import type { AppRef, FailureCause, ReplicaStatus } from "../../contract/types.ts";
import { messageOf } from "../../core/errors.ts";
import type { Lease } from "../../core/lease.ts";
import { causeOf } from "../causes.ts";
import type { Condition, WantedApp } from "../engine.ts";
import { ConditionBoard } from "./condition-board.ts";
import type { EstablishedRevisions } from "./established.ts";
import type { AppLog } from "./logs/app-log.ts";
import { RevisionRun, type RunContext } from "./revision-run.ts";

/** What a supervisor needs from the engine. */
export interface SupervisorContext extends RunContext {
  established: EstablishedRevisions;
  /** Called after each change of an app's revisions. */
  changed(ref: AppRef): void;
  log(message: string): void;
}

/** One app. */
export class AppSupervisor {
  readonly ref: AppRef;
  readonly output: AppLog;
  readonly board = new ConditionBoard();
  readonly #context: SupervisorContext;
  readonly #runs = new Map<string, RevisionRun>();
  /** Runs that are ending; a revision that is wanted again gets a new one next to it. */
  readonly #leaving = new Set<RevisionRun>();
  #wanted: WantedApp | undefined;
  /** The revision that was to get the traffic in the state before: who wanted that may still ask for its verdict. */
  #targetBefore: string | null = null;
  /** The revision that gets the traffic. */
  #route: string | null = null;
  #switching = false;

  constructor(context: SupervisorContext, ref: AppRef, output: AppLog) {
    this.#context = context;
    this.ref = ref;
    this.output = output;
  }

  /** Takes over a wanted state. The same one twice changes nothing, but for what waits before its next start. */
  apply(wanted: WantedApp): void {
    for (const { name } of wanted.revisions) this.#runs.get(name)?.tryNow();
    if (isDeepStrictEqual(this.#wanted, wanted)) return;
    this.#targetBefore = this.#wanted?.traffic ?? null;
    this.#wanted = structuredClone(wanted);
    for (const revision of this.#wanted.revisions) {
      if (this.#runs.has(revision.name)) continue;
      const { established } = this.#context;
      this.board.forget(revision.name);
      const run: RevisionRun = new RevisionRun(this.#context, {
        ref: this.ref,
        revision,
        log: this.output,
        established: established.has(this.ref, revision.name),
        changed: () => this.#reconcile(),
      });
      this.#runs.set(revision.name, run);
    }
    this.#reconcile();
    // Also what a platform before this one has left.
    this.#releaseImages();
  }

  /** The revision that gets the traffic; null before the first was ready and while the app is stopped. */
  get serving(): string | null {
    return this.#route;
  }

  /** The replica for one request; null when none is ready. */
  lease(): Lease | null {
    return (this.#route !== null && this.#runs.get(this.#route)?.lease()) || null;
  }

  /** True while a replica of an earlier platform has not answered this one yet. */
  get isTakingOver(): boolean {
    return [...this.#runs.values()].some((run) => run.isTakingOver);
  }

  /** Why a replica of a revision that runs ended last; undefined when none did. */
  lastFailure(revision: string): FailureCause | undefined {
    return this.#runs.get(revision)?.lastFailure;
  }

  /** Replicas now: those that run and those that are ending. */
  replicas(): ReplicaStatus[] {
    return [...this.#runs.values(), ...this.#leaving].flatMap((run) => run.status() ?? []);
  }

  /** Stops everything. With `drainMs` 0 requests under way are left to the replica's own orderly end. */
  async stop(drainMs?: number): Promise<void> {
    this.apply({ ref: this.ref, revisions: [], traffic: null });
    await Promise.all([...this.#leaving].map((run) => run.stop(drainMs)));
  }

  /** Brings what is into line with what is wanted, as far as it can be done now. Called at every change. */
  #reconcile(): void {
    const wanted = this.#wanted;
    if (!wanted) return;
    const names = new Set(wanted.revisions.map(({ name }) => name));
    const target = wanted.traffic;
    if (target !== null) this.#route ??= this.#standIn(wanted, target);
    const isMoving = target !== null && names.has(target) && this.#route !== target;
    for (const [name, run] of this.#runs) {
      // Until the traffic has moved, the revision that has it goes on serving, wanted or not.
      const keepsServing = isMoving && name === this.#route;
      if (!names.has(name) && !keepsServing) this.#retire(name, run);
    }
    this.#publish();
    this.#context.changed(this.ref);
    if (isMoving && this.#runs.get(target)?.ready) void this.#switchTraffic(target);
  }

  /**
   * Who gets the requests when nobody does and the target is not ready yet: a wanted revision that served before. So it is
   * when a platform was killed in the middle of a deploy and goes on with it.
   */
  #standIn({ revisions }: WantedApp, target: string): string | null {
    if (this.#runs.get(target)?.ready) return null;
    const served = revisions.find(({ name }) => {
      const run = this.#runs.get(name);
      return name !== target && run?.established === true && run.ready;
    });
    return served?.name ?? null;
  }

  async #switchTraffic(target: string): Promise<void> {
    if (this.#switching) return;
    this.#switching = true;
    await this.#context.beforeStep("route", this.ref, target);
    this.#switching = false;
    const run = this.#runs.get(target);
    if (this.#wanted?.traffic === target && run?.ready) {
      run.established = true;
      this.#route = target;
      try {
        this.#context.established.add(this.ref, target);
      } catch (error) {
        // It serves all the same; a later platform will only take it for one that never did.
        this.#context.log(
          `revision ${target} of ${this.ref.name} could not be noted as established: ${messageOf(error)}`,
        );
      }
    }
    this.#reconcile();
  }

  #retire(name: string, run: RevisionRun): void {
    this.#runs.delete(name);
    this.#leaving.add(run);
    if (this.#route === name) this.#route = null;
    const last = this.board.get(name);
    if (last?.ready !== "True" && last?.ready !== "False") {
      this.board.set({
        revision: name,
        ready: "False",
        reason: "RevisionDeleted",
        message: `Revision "${name}" was deleted.`,
        cause: causeOf("superseded", { revision: name }),
      });
    }
    // One that ran without traffic, like the old one after an update, has not failed: its observers know.
    if (last?.ready !== "False" && (last?.ready === "True" || name !== this.#targetBefore)) this.board.forget(name);
    run
      .stop()
      .catch((error) => this.#context.log(`replica ${run.replica} could not be ended: ${messageOf(error)}`))
      .finally(() => {
        this.#leaving.delete(run);
        this.#releaseImages();
      });
  }

  /** Lets go of the images of revisions that neither run nor are ending. A stopped app keeps what it has for its next start. */
  #releaseImages(): void {
    const { runtime, log } = this.#context;
    const needed = () => {
      if (!this.#wanted || this.#wanted.revisions.length === 0) return undefined;
      return new Set([...this.#runs.values(), ...this.#leaving].map(({ revision }) => revision.digest));
    };
    runtime.retain?.(this.ref, needed).catch((error) => {
      log(`images that ${this.ref.name} needs no more could not be removed: ${messageOf(error)}`);
    });
  }

  #publish(): void {
    for (const [name, run] of this.#runs) this.board.set({ revision: name, ...this.#conditionOf(name, run) });
  }

  #conditionOf(name: string, run: RevisionRun): Omit<Condition, "revision"> {
    if (this.#route === name) return { ready: "True", reason: "", message: "" };
    if (run.cause) {
      const { message } = run.cause;
      return {
        ready: "False",
        reason: "RevisionFailed",
        message: `Revision "${name}" failed with message: ${message}${message.endsWith(".") ? "" : "."}`,
        cause: run.cause,
      };
    }
    if (run.ready && this.#wanted?.traffic === name) {
      return { ready: "Unknown", reason: "IngressNotConfigured", message: "Ingress has not yet been reconciled." };
    }
    const hasServed = [...this.#runs].some(([other, { established }]) => other !== name && established);
    if (this.#route !== null || hasServed) {
      return {
        ready: "Unknown",
        reason: "TrafficNotMigrated",
        message: "Traffic is not yet migrated to the latest revision.",
      };
    }
    return {
      ready: "Unknown",
      reason: "RevisionMissing",
      message: `Configuration "${this.ref.name}" is waiting for a Revision to become ready.`,
    };
  }
}
