/** Keeps the replica of one revision running: prepares, starts, waits until it is ready, restarts, drains, stops. */
import { randomBytes } from "node:crypto";
import type { AppRef, FailureCause, LogLine, ReplicaStatus } from "../../contract/types.ts";
import type { Lease } from "../../core/lease.ts";
import { RecentOutput } from "../../core/recent-output.ts";
import type { OutputLine } from "../../core/replica-host.ts";
import { engineError } from "../causes.ts";
import type { RunnableRevision } from "../engine.ts";
import { explainFailure } from "../explain-failure.ts";
import { BackOff } from "./back-off.ts";
import type { Clock } from "./clock.ts";
import { withEntrypoint } from "./entrypoint.ts";
import { Leases } from "./leases.ts";
import type { AppLog } from "./logs/app-log.ts";
import { type StartOutcome, waitUntilReady } from "./readiness.ts";
import { type AdoptedReplica, type Content, type RunningReplica, type Runtime, StartFailure } from "./runtime.ts";
import type { StartGate } from "./start-gate.ts";

/** A step before which a test can hold a revision. */
export type RunStep = "prepare" | "ready" | "route";

/** Holds a revision at a step until the promise resolves. */
export type BeforeStep = (step: RunStep, ref: AppRef, revision: string) => Promise<void>;

/** What a run needs from the engine. Times are in milliseconds. */
export interface RunContext {
  runtime: Runtime;
  clock: Clock;
  beforeStep: BeforeStep;
  drainMs: number;
  stopMs: number;
  otherPortMs: number;
  /** Through which revisions that have served before are started. */
  startGate: StartGate;
}

type State = "starting" | "ready" | "backOff" | "failed" | "draining" | "ended";

/** Starts on an address that another program had taken are repeated this often before they count as a failure. */
const ADDRESS_TRIES = 3;

/** A runtime that is away is asked again this often, in milliseconds: that says nothing of the app, which no pause would help. */
const AWAY_MS = 1_000;

/** One revision of an app while it is wanted. */
export class RevisionRun {
  readonly revision: RunnableRevision;
  readonly replica: string;
  /** Set when the revision has got the app's traffic, now or on an earlier platform: from then on it is restarted. */
  established: boolean;
  readonly #context: RunContext;
  readonly #ref: AppRef;
  readonly #log: AppLog;
  readonly #changed: () => void;
  readonly #abort = new AbortController();
  readonly #aborted = new Promise<void>((resolve) => {
    this.#abort.signal.addEventListener("abort", () => resolve());
  });
  readonly #backOff = new BackOff();
  /** Ends the pause before the next start. */
  #wake = new AbortController();
  readonly #done: Promise<void>;
  /** A replica of an earlier platform, until it is taken over. */
  #adopted: AdoptedReplica | undefined;
  readonly #isAdopted: boolean;
  #output = new RecentOutput<LogLine>();
  #state: State = "starting";
  #cause: FailureCause | undefined;
  #running: RunningReplica | undefined;
  #restarts: number;
  #startedAt: number | undefined;
  #lastFailure: FailureCause | undefined;
  readonly #leases = new Leases();

  constructor(
    context: RunContext,
    app: { ref: AppRef; revision: RunnableRevision; log: AppLog; established: boolean; changed(): void },
  ) {
    this.#context = context;
    this.#ref = app.ref;
    this.#log = app.log;
    this.#changed = app.changed;
    this.revision = app.revision;
    this.established = app.established;
    this.#adopted = context.runtime.adopt?.(app.ref, app.revision, app.log, (lines) => this.#keepOutput(lines));
    this.#isAdopted = this.#adopted !== undefined;
    this.replica = this.#adopted?.replica ?? `${app.revision.name}-${randomBytes(3).toString("hex").slice(0, 5)}`;
    this.#restarts = this.#adopted?.restarts ?? 0;
    this.#done = this.#keepRunning();
  }

  /** True while the replica answers and takes requests. */
  get ready(): boolean {
    return this.#state === "ready" && this.#running?.hasExited === false;
  }

  /** True while a replica of an earlier platform has not answered this one yet. */
  get isTakingOver(): boolean {
    return this.#isAdopted && this.#state === "starting";
  }

  /** Why the revision failed; undefined while it has not. */
  get cause(): FailureCause | undefined {
    return this.#cause;
  }

  /** Why the replica ended last; undefined while its first life lasts. */
  get lastFailure(): FailureCause | undefined {
    return this.#lastFailure;
  }

  /** Does not wait for the end of the pause before the next start: what kept it from coming up may have been mended. */
  tryNow(): void {
    if (this.#state !== "backOff") return;
    this.#cause = undefined;
    this.#setState("starting");
    this.#wake.abort();
  }

  /** The replica, as `get apps` shows it; undefined when there is none any more. */
  status(): ReplicaStatus | undefined {
    if (this.#state === "failed" || this.#state === "ended") return undefined;
    const states = { starting: "Starting", ready: "Ready", backOff: "BackOff", draining: "Draining" } as const;
    return {
      name: this.replica,
      revision: this.revision.name,
      state: states[this.#state],
      restarts: this.#restarts,
      startedAt: this.#startedAt === undefined ? null : new Date(this.#startedAt).toISOString(),
      pid: this.#running?.pid ?? null,
      lastExit: this.#lastFailure?.message.split("\n")[0] ?? null,
    };
  }

  /** The replica for one request; null while it is not ready. */
  lease(): Lease | null {
    const running = this.#running;
    if (this.#state !== "ready" || !running || running.hasExited) return null;
    return {
      revision: this.revision.name,
      replica: this.replica,
      address: running.address,
      ...(running.token === undefined ? {} : { token: running.token }),
      release: this.#leases.take(),
    };
  }

  /**
   * Takes no more requests, waits up to `drainMs` for those under way, ends the replica. Resolves when it is gone. A second
   * call with 0 cuts the wait of the first one short.
   */
  async stop(drainMs = this.#context.drainMs): Promise<void> {
    if (this.#abort.signal.aborted) {
      if (drainMs === 0) this.#leases.giveUp();
    } else {
      const mustDrain = this.#state === "ready";
      this.#abort.abort();
      if (this.#state !== "failed") this.#setState("draining");
      if (mustDrain) await this.#drain(drainMs);
      await this.#running?.stop(this.#context.stopMs);
    }
    await this.#done;
  }

  async #keepRunning(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#abort;
    // The constructor's caller has its run before the first change is reported.
    await Promise.resolve();
    let content: Content | undefined;
    while (!signal.aborted) {
      let healthyMs = 0;
      let cause: FailureCause;
      try {
        content ??= this.#adopted?.content ?? (await this.#prepare());
        if (signal.aborted) break;
        ({ cause, healthyMs } = await this.#startAndWait(content));
      } catch (error) {
        content = undefined; // it may be gone: the next start makes it ready again
        cause = error instanceof StartFailure ? error.failure : engineError(error);
      }
      if (signal.aborted) break;
      this.#running = undefined;
      this.#lastFailure = cause;
      if (!this.established) {
        this.#cause = cause;
        return this.#setState("failed");
      }
      // An established revision that does not come up is reported as failed, and tried again all the same.
      if (healthyMs === 0) this.#cause = cause;
      this.#setState("backOff");
      this.#wake = new AbortController();
      const isAway = cause.code === "RUNTIME_UNAVAILABLE";
      const pause = isAway ? AWAY_MS : this.#backOff.next(healthyMs);
      await clock.sleep(pause, AbortSignal.any([signal, this.#wake.signal]));
      if (signal.aborted) break;
      if (!isAway) this.#restarts++;
      this.#setState("starting");
    }
    // It was not wanted any more before it could be taken over.
    await this.#adopted?.running.stop(this.#context.stopMs);
    this.#running = undefined;
    this.#setState("ended");
  }

  async #prepare(): Promise<Content> {
    await Promise.race([this.#context.beforeStep("prepare", this.#ref, this.revision.name), this.#aborted]);
    return this.#context.runtime.prepare(this.#ref, this.revision, this.#abort.signal);
  }

  /** One life of the replica. Resolves after its end with the reason, and with how long it was ready. */
  async #startAndWait(content: Content): Promise<{ cause: FailureCause; healthyMs: number }> {
    const { clock, beforeStep } = this.#context;
    for (let attempt = 1; ; attempt++) {
      const leave = this.established && !this.#adopted ? await this.#enterGate() : undefined;
      const { running, outcome } = await this.#startAndProbe(content).finally(leave);
      let readyAt: number | undefined;
      if (outcome.type === "ready") {
        await Promise.race([beforeStep("ready", this.#ref, this.revision.name), running.exited]);
        readyAt = await this.#serve(running);
      } else if (outcome.type !== "aborted") await running.kill();
      const exit = await running.exited;
      const wasAnswering = readyAt !== undefined;
      if (exit.addressTaken && !wasAnswering && attempt < ADDRESS_TRIES && !this.#abort.signal.aborted) continue;
      const { address } = running;
      const cause = explainFailure({
        spec: withEntrypoint(this.revision.spec, content),
        // a replica that was given up has been killed by the engine: its end explains nothing, save for a limit
        ...(outcome.type === "ready" || outcome.type === "exited" || exit.outOfMemory || exit.outOfStorage
          ? { exit }
          : {}),
        ...(outcome.type === "otherPort" ? { otherPorts: outcome.ports } : {}),
        ...("port" in address ? { port: running.port ?? address.port } : {}),
        wasReady: wasAnswering,
        output: exit.output ? this.#asLogLines(exit.output) : this.#output.lines(),
        roots: content.roots,
        names: running.names,
      });
      return { cause, healthyMs: readyAt === undefined ? 0 : Math.max(1, clock.now() - readyAt) };
    }
  }

  /** A revision that has served before may be one of many, after a start of the machine. */
  #enterGate(): Promise<(() => void) | undefined> {
    const entered = this.#context.startGate.enter();
    const aborted = this.#aborted.then(() => {
      void entered.then((leave) => leave());
      return undefined;
    });
    return Promise.race([entered, aborted]);
  }

  async #startAndProbe(content: Content): Promise<{ running: RunningReplica; outcome: StartOutcome }> {
    const running = await this.#start(content);
    return { running, outcome: await this.#waitUntilReady(running) };
  }

  async #start(content: Content): Promise<RunningReplica> {
    const { runtime, clock, stopMs } = this.#context;
    this.#output = new RecentOutput<LogLine>();
    const adopted = this.#adopted;
    this.#adopted = undefined;
    const request = {
      ref: this.#ref,
      revision: this.revision,
      replica: this.replica,
      content,
      restarts: this.#restarts,
      output: (lines: OutputLine[]) => this.#keepOutput(lines),
      log: this.#log,
    };
    const running = adopted?.running ?? (await runtime.start(request));
    this.#startedAt = adopted?.startedAt ?? clock.now();
    this.#running = running;
    // stop() came while the replica was being started, so it saw none to end.
    if (this.#abort.signal.aborted) void running.stop(stopMs);
    return running;
  }

  #waitUntilReady(running: RunningReplica): Promise<StartOutcome> {
    const { clock, otherPortMs } = this.#context;
    return waitUntilReady(running, {
      timeoutMs: this.revision.spec.startTimeout * 1000,
      otherPortMs,
      clock,
      signal: this.#abort.signal,
    });
  }

  /** Marks the replica ready, unless it has ended or is to end. Resolves at its end with the time since it was ready. */
  async #serve(running: RunningReplica): Promise<number | undefined> {
    const alive = await Promise.race([running.exited.then(() => false), Promise.resolve(true)]);
    if (!alive || this.#abort.signal.aborted) return undefined;
    const readyAt = this.#context.clock.now();
    this.#cause = undefined;
    this.#setState("ready");
    await running.exited;
    return readyAt;
  }

  async #drain(drainMs: number): Promise<void> {
    const over = new AbortController();
    const waits = [this.#leases.idle(), this.#context.clock.sleep(drainMs, over.signal), this.#running?.exited];
    await Promise.race(waits);
    over.abort();
  }

  async #keepOutput(lines: OutputLine[]): Promise<void> {
    const kept = this.#asLogLines(lines);
    this.#output.add(kept);
    await this.#log.append(kept);
  }

  #asLogLines(lines: OutputLine[]): LogLine[] {
    const [replica, revision] = [this.replica, this.revision.name];
    return lines.map(({ time, stream, line }) => ({
      time: new Date(time).toISOString(),
      replica,
      revision,
      stream,
      line,
    }));
  }

  #setState(state: State): void {
    // What is to end goes on to its end, whatever is still under way.
    if (this.#abort.signal.aborted && state !== "draining" && state !== "ended") return;
    this.#state = state;
    this.#changed();
  }
}
