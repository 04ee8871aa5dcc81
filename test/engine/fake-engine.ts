/** An engine that runs nothing: the test says what becomes of each revision. For tests of what lies above the seam. */
import type { AppRef, AppSpec, FailureCause, LogLine, ReplicaStatus } from "../../src/contract/types.ts";
import type { Fault } from "../../src/core/errors.ts";
import type { Condition, Engine, EngineFacts, Lease, LogQuery, WantedApp } from "../../src/engine/engine.ts";
import { ConditionBoard } from "../../src/engine/local/condition-board.ts";

/** A condition without the revision's name. */
export type ScriptedCondition = Omit<Condition, "revision">;

/** What becomes of a revision that is to get traffic. */
export type Script = (wanted: WantedApp, revision: string) => readonly ScriptedCondition[];

/** Options of a {@link FakeEngine}. */
export interface FakeEngineOptions {
  /** Default: {@link succeeds}. An empty list leaves the revision to {@link FakeEngine.set}. */
  script?: Script;
  /** Where leases point to. Without it there are none. */
  address?: Lease["address"];
  token?: string;
  faults?: (spec: AppSpec) => Fault[];
  warnings?: (spec: AppSpec) => string[];
}

interface FakeApp {
  board: ConditionBoard;
  wanted: WantedApp | undefined;
  serving: string | null;
  replicas: ReplicaStatus[];
  lines: LogLine[];
  wake: Set<() => void>;
}

/** The conditions of a first deploy that succeeds. */
export const succeeds: Script = ({ ref }) => [
  {
    ready: "Unknown",
    reason: "RevisionMissing",
    message: `Configuration "${ref.name}" is waiting for a Revision to become ready.`,
  },
  { ready: "Unknown", reason: "IngressNotConfigured", message: "Ingress has not yet been reconciled." },
  { ready: "True", reason: "", message: "" },
];

/** The conditions of a first deploy that fails with `cause`. */
export function fails(cause: FailureCause): Script {
  return (wanted, revision) => [
    ...succeeds(wanted, revision).slice(0, 1),
    {
      ready: "False",
      reason: "RevisionFailed",
      message: `Revision "${revision}" failed with message: ${cause.message}.`,
      cause,
    },
  ];
}

/** The fake. It keeps to the contract of `Engine`: equal states change nothing, traffic moves when a revision is ready. */
export class FakeEngine implements Engine {
  /** Every state that was applied, oldest first. */
  readonly applied: WantedApp[] = [];
  /** Leases that were not released. */
  leases = 0;
  closed = false;
  script: Script;
  readonly #options: FakeEngineOptions;
  readonly #apps = new Map<string, FakeApp>();

  constructor(options: FakeEngineOptions = {}) {
    this.#options = options;
    this.script = options.script ?? succeeds;
  }

  /** Sets a revision's condition; with `True` it gets the traffic. */
  set(ref: AppRef, condition: Condition): void {
    const app = this.#app(ref);
    if (condition.ready === "True") {
      app.serving = condition.revision;
      app.replicas = [
        {
          name: `${condition.revision}-00000`,
          revision: condition.revision,
          state: "Ready",
          restarts: 0,
          startedAt: new Date(0).toISOString(),
          pid: 1,
          lastExit: null,
        },
      ];
    }
    app.board.set(condition);
  }

  /** Sets what `replicas` gives. */
  setReplicas(ref: AppRef, replicas: ReplicaStatus[]): void {
    this.#app(ref).replicas = replicas;
  }

  /** Adds a line to an app's output. */
  write(ref: AppRef, line: LogLine): void {
    const app = this.#app(ref);
    app.lines.push(line);
    for (const wake of app.wake) wake();
  }

  facts(): EngineFacts {
    return {
      name: "fake",
      runtime: "none",
      limits: { cpu: "none", mem: "none", tasks: "none", storage: "none" },
      isolation: "none",
    };
  }

  check(spec: AppSpec): Fault[] {
    return this.#options.faults?.(spec) ?? [];
  }

  warnings(spec: AppSpec): string[] {
    return this.#options.warnings?.(spec) ?? [];
  }

  async apply(wanted: WantedApp): Promise<void> {
    this.applied.push(structuredClone(wanted));
    const app = this.#app(wanted.ref);
    const before = new Set(app.wanted?.revisions.map(({ name }) => name));
    app.wanted = structuredClone(wanted);
    if (wanted.revisions.length === 0) {
      app.serving = null;
      app.replicas = [];
    }
    const { traffic } = wanted;
    if (traffic === null || app.serving === traffic) return;
    if (before.has(traffic) && app.board.get(traffic)?.ready === "True") {
      this.set(wanted.ref, { revision: traffic, ready: "True", reason: "", message: "" });
      return;
    }
    if (before.has(traffic) && app.board.get(traffic)) return;
    app.board.forget(traffic);
    void this.#play(wanted, traffic);
  }

  observe(ref: AppRef, revision: string, signal: AbortSignal): AsyncIterable<Condition> {
    return this.#app(ref).board.watch(revision, signal);
  }

  replicas(ref: AppRef): ReplicaStatus[] {
    return structuredClone(this.#app(ref).replicas);
  }

  serving(ref: AppRef): string | null {
    return this.#app(ref).serving;
  }

  lease(ref: AppRef): Lease | null {
    const { serving, replicas } = this.#app(ref);
    const replica = replicas.find(({ revision, state }) => revision === serving && state === "Ready");
    const { address, token } = this.#options;
    if (!replica || serving === null || !address) return null;
    this.leases++;
    let released = false;
    return {
      revision: serving,
      replica: replica.name,
      address,
      ...(token === undefined ? {} : { token }),
      release: () => {
        if (released) throw new Error("a lease was released twice");
        released = true;
        this.leases--;
      },
    };
  }

  async *logs(ref: AppRef, { tail, since, follow, signal }: LogQuery): AsyncGenerator<LogLine> {
    const { lines, wake } = this.#app(ref);
    const from = since === undefined ? "" : new Date(since).toISOString();
    let at = tail === undefined ? 0 : Math.max(0, lines.length - tail);
    while (!signal.aborted) {
      for (const line of lines.slice(at)) {
        at++;
        if (line.time >= from) yield line;
      }
      if (!follow) return;
      if (at < lines.length) continue;
      await new Promise<void>((resolve) => {
        wake.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  async delete(ref: AppRef): Promise<void> {
    this.#apps.delete(keyOf(ref));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #play(wanted: WantedApp, revision: string): Promise<void> {
    for (const condition of this.script(wanted, revision)) {
      // A turn of the event loop for each, as changes of a real engine come.
      await new Promise((resolve) => setImmediate(resolve));
      const now = this.#app(wanted.ref).wanted;
      if (now?.traffic !== revision) return;
      this.set(wanted.ref, { revision, ...condition });
    }
  }

  #app(ref: AppRef): FakeApp {
    let app = this.#apps.get(keyOf(ref));
    if (!app) {
      app = { board: new ConditionBoard(), wanted: undefined, serving: null, replicas: [], lines: [], wake: new Set() };
      this.#apps.set(keyOf(ref), app);
    }
    return app;
  }
}

function keyOf({ project, domain, name }: AppRef): string {
  return `${project}/${domain}/${name}`;
}
