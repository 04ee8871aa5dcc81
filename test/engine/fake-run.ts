/** One revision of the fake while it is wanted: its lives one after the other, its leases and its end. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { FailureCause, LogLine, ReplicaStatus } from "../../src/contract/types.ts";
import type { Lease } from "../../src/core/lease.ts";
import type { Redacted } from "../../src/core/redacted.ts";
import type { RunnableRevision } from "../../src/engine/engine.ts";
import { type FakeAddress, FakeLife, type FakeProgram, giveFakeSecrets } from "./fake-program.ts";

/** What a run needs from the engine. Times are in milliseconds. */
export interface FakeRunContext {
  program: FakeProgram;
  /** Where a replica answers whose program names no address. */
  at: FakeAddress;
  platformUrl: string;
  readSecret(id: string, version: number): Promise<Redacted<Buffer>>;
  drainMs: number;
  stopMs: number;
  write(line: LogLine): void;
  changed(): void;
  /** Counts the leases of the engine: 1 for one that is taken, -1 for one that is released. */
  leased(by: 1 | -1): void;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/** One revision that is wanted. */
export class FakeRun {
  readonly revision: RunnableRevision;
  readonly replica: string;
  /** It has served: it is restarted when it ends. */
  established: boolean;
  cause: FailureCause | undefined;
  lastFailure: FailureCause | undefined;
  readonly #context: FakeRunContext;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #state: ReplicaStatus["state"] | "Gone" = "Starting";
  #life: FakeLife | undefined;
  #restarts = 0;
  #startedAt: string | null = null;
  #leases = 0;
  #drained = () => {};
  /** Nobody looks after it any more: the platform died. */
  #orphaned = false;

  constructor(context: FakeRunContext, revision: RunnableRevision, established: boolean) {
    this.#context = context;
    this.revision = revision;
    this.established = established;
    this.replica = `${revision.name}-${randomBytes(3).toString("hex").slice(0, 5)}`;
    this.#done = this.#live();
  }

  get ready(): boolean {
    return this.#state === "Ready" && this.#life?.at !== undefined;
  }

  /** Says that it is ready, in place of its program. */
  becomeReady(): void {
    this.#life?.listens();
  }

  /** Ends its life with `cause`, in place of its program. */
  fail(cause: FailureCause): void {
    this.#life?.fail(cause);
  }

  status(): ReplicaStatus[] {
    if (this.#state === "Gone") return [];
    return [
      {
        name: this.replica,
        revision: this.revision.name,
        state: this.#state,
        restarts: this.#restarts,
        startedAt: this.#startedAt,
        pid: null,
        lastExit: this.lastFailure?.message.split("\n")[0] ?? null,
      },
    ];
  }

  lease(): Lease | null {
    const { at } = this.#context;
    const address = this.#life?.at?.address ?? at.address;
    const token = this.#life?.at?.token ?? at.token;
    if (!this.ready || !address) return null;
    this.#leases++;
    this.#context.leased(1);
    let released = false;
    return {
      revision: this.revision.name,
      replica: this.replica,
      address,
      ...(token === undefined ? {} : { token }),
      release: () => {
        if (released) throw new Error("a lease was released twice");
        released = true;
        this.#context.leased(-1);
        if (--this.#leases === 0) this.#drained();
      },
    };
  }

  /** Drains and ends it. Resolves when it is gone. A second call with 0 cuts the drain of the first one short. */
  async stop(drainMs = this.#context.drainMs): Promise<void> {
    if (this.#stopping.signal.aborted) {
      if (drainMs === 0) this.#drained();
      return this.#done;
    }
    const drains = this.ready && this.#leases > 0;
    this.#stopping.abort();
    if (this.#state !== "Gone") this.#set("Draining");
    if (drains) {
      const idle = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      await Promise.race([idle, delay(drainMs, undefined, { ref: false }), this.#life?.ended]);
    }
    this.#life?.terminate();
    await Promise.race([this.#done, delay(this.#context.stopMs, undefined, { ref: false })]);
    this.#life?.kill();
    return this.#done;
  }

  /** The platform died: it runs on and nobody hears of it. */
  orphan(): void {
    this.#orphaned = true;
  }

  /** Ends what a dead platform left. */
  kill(): void {
    this.#stopping.abort();
    this.#life?.kill();
  }

  async #live(): Promise<void> {
    const { signal } = this.#stopping;
    // The constructor's caller has its run before the first change is told.
    await Promise.resolve();
    for (let pause = 0; !signal.aborted; pause = Math.min(pause * 2 || FIRST_PAUSE_MS, LONGEST_PAUSE_MS)) {
      const { cause, wasReady } = await this.#liveOnce();
      if (signal.aborted || this.#orphaned) break;
      this.lastFailure = cause;
      if (!this.established || !wasReady) this.cause = cause;
      if (!this.established) break;
      this.#set("BackOff");
      // The fake has little patience: its pauses are a tenth of a real engine's.
      await delay(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      this.#restarts++;
      this.#set("Starting");
    }
    this.#set("Gone");
  }

  async #liveOnce(): Promise<{ cause: FailureCause; wasReady: boolean }> {
    const { program, platformUrl, readSecret } = this.#context;
    const { revision } = this;
    const given = await giveFakeSecrets(revision.secrets, readSecret);
    if ("code" in given) return { cause: given, wasReady: false };
    const env = {
      APPCTL_ENDPOINT: platformUrl,
      ...revision.env,
      PORT: String(revision.spec.port),
      HOST: "127.0.0.1",
    };
    let wasReady = false;
    const life = new FakeLife(
      revision,
      { ...given, env },
      {
        write: (stream, line) => {
          const time = new Date().toISOString();
          const kept: LogLine = { time, replica: this.replica, revision: revision.name, stream, line };
          this.#context.write(kept);
          return kept;
        },
        ready: () => {
          if (this.#state !== "Starting") return;
          wasReady = true;
          this.cause = undefined;
          this.#set("Ready");
        },
      },
    );
    if (this.#stopping.signal.aborted) return { cause: life.explain(undefined), wasReady };
    this.#life = life;
    this.#startedAt = new Date().toISOString();
    let late = false;
    const deadline = setTimeout(() => {
      late = !wasReady;
      if (late) life.kill();
    }, revision.spec.startTimeout * 1000);
    program(life);
    const ending = await life.ended;
    clearTimeout(deadline);
    return { cause: life.explain(late ? undefined : ending), wasReady };
  }

  #set(state: ReplicaStatus["state"] | "Gone"): void {
    if (this.#stopping.signal.aborted && state !== "Draining" && state !== "Gone") return;
    this.#state = state;
    if (!this.#orphaned) this.#context.changed();
  }
}
