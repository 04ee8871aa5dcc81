/** An engine that starts no process: programs of its replicas are functions of the test. For tests above the seam. */
import { isDeepStrictEqual } from "node:util";
import type { AppRef, AppSpec, FailureCause, LogLine, ReplicaStatus } from "../../src/contract/types.ts";
import type { Fault } from "../../src/core/errors.ts";
import type { Lease } from "../../src/core/lease.ts";
import type { Redacted } from "../../src/core/redacted.ts";
import { causeOf } from "../../src/engine/causes.ts";
import type { Condition, Engine, EngineFacts, LogQuery, WantedApp } from "../../src/engine/engine.ts";
import { ConditionBoard } from "../../src/engine/local/condition-board.ts";
import { hostTarget, targetName } from "../../src/packages/npm-target.ts";
import { FakeLog } from "./fake-log.ts";
import { type FakeAddress, type Script, succeeds } from "./fake-program.ts";
import { FakeRun } from "./fake-run.ts";

export { fails, hangs, type Script, succeeds } from "./fake-program.ts";

/** What outlives an engine: give the same one to the next engine, and it is the same platform started again. */
export class FakeState {
  readonly logs = new Map<string, FakeLog>();
  /** Revisions that have served, as `<app>/<revision>`. */
  readonly established = new Set<string>();
  /** Replicas of an engine that died. */
  readonly orphans = new Set<FakeRun>();
}

/** Options of a {@link FakeEngine}. Times are in milliseconds. */
export interface FakeEngineOptions extends FakeAddress {
  /** What becomes of each revision. Default: {@link succeeds}. */
  script?: Script;
  state?: FakeState;
  readSecret?: (id: string, version: number) => Promise<Redacted<Buffer>>;
  platformUrl?: string;
  drainMs?: number;
  stopMs?: number;
  faults?: (spec: AppSpec) => Fault[];
  warnings?: (spec: AppSpec) => string[];
}

interface FakeApp {
  ref: AppRef;
  board: ConditionBoard;
  wanted: WantedApp | undefined;
  /** The revision that was to get the requests in the state before. */
  targetBefore: string | null;
  /** The revision that gets the requests. */
  route: string | null;
  runs: Map<string, FakeRun>;
  leaving: Set<FakeRun>;
}

/** The fake. It keeps to the contract of `Engine`, which `contract/` holds it to. */
export class FakeEngine implements Engine {
  /** Every state that was applied, oldest first. */
  readonly applied: WantedApp[] = [];
  /** Leases that were not released. */
  leases = 0;
  closed = false;
  script: Script;
  readonly #options: FakeEngineOptions;
  readonly #state: FakeState;
  readonly #apps = new Map<string, FakeApp>();
  readonly #deleting = new Map<string, Promise<void>>();

  constructor(options: FakeEngineOptions = {}) {
    this.#options = options;
    this.#state = options.state ?? new FakeState();
    this.script = options.script ?? succeeds;
    for (const log of this.#state.logs.values()) log.reopen();
    for (const orphan of this.#state.orphans) orphan.kill();
    this.#state.orphans.clear();
  }

  /** What becomes of a revision whose program says nothing: `True` and `False` end its start, `Unknown` is only told. */
  set(ref: AppRef, condition: Condition): void {
    const app = this.#app(ref);
    const { revision, ready, reason, message } = condition;
    if (ready === "True") app.runs.get(revision)?.becomeReady();
    else if (ready === "False") app.runs.get(revision)?.fail(condition.cause ?? { code: reason, message });
    else app.board.set(condition);
  }

  /** Adds a line to an app's output. */
  write(ref: AppRef, line: LogLine): void {
    this.#log(ref).add(line);
  }

  /** Ends as a killed platform does: nothing is ended or told, and replicas run on until the next engine on its state. */
  die(): void {
    for (const app of this.#apps.values()) {
      for (const run of [...app.runs.values(), ...app.leaving]) {
        run.orphan();
        this.#state.orphans.add(run);
      }
    }
    this.#apps.clear();
  }

  facts(): EngineFacts {
    return {
      name: "fake",
      runtime: "none",
      limits: { cpu: "none", mem: "none", tasks: "none", storage: "none" },
      isolation: "none",
      needsBase: false,
      platform: targetName(hostTarget()),
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
    const deleting = this.#deleting.get(keyOf(wanted.ref));
    if (deleting) await deleting;
    if (this.closed) return;
    const app = this.#app(wanted.ref);
    if (isDeepStrictEqual(app.wanted, wanted)) return;
    app.targetBefore = app.wanted?.traffic ?? null;
    app.wanted = structuredClone(wanted);
    for (const revision of app.wanted.revisions) {
      if (app.runs.has(revision.name)) continue;
      app.board.forget(revision.name);
      app.runs.set(revision.name, this.#run(app, revision));
    }
    this.#reconcile(app);
  }

  observe(ref: AppRef, revision: string, signal: AbortSignal): AsyncIterable<Condition> {
    return this.#app(ref).board.watch(revision, signal);
  }

  replicas(ref: AppRef): ReplicaStatus[] {
    const app = this.#apps.get(keyOf(ref));
    return app ? [...app.runs.values(), ...app.leaving].flatMap((run) => run.status()) : [];
  }

  lastFailure(ref: AppRef, revision: string): FailureCause | undefined {
    return this.#apps.get(keyOf(ref))?.runs.get(revision)?.lastFailure;
  }

  serving(ref: AppRef): string | null {
    return this.#apps.get(keyOf(ref))?.route ?? null;
  }

  lease(ref: AppRef): Lease | null {
    const app = this.#apps.get(keyOf(ref));
    return (app?.route && app.runs.get(app.route)?.lease()) || null;
  }

  logs(ref: AppRef, query: LogQuery): AsyncIterable<LogLine> {
    return this.#log(ref).read(query);
  }

  delete(ref: AppRef): Promise<void> {
    const key = keyOf(ref);
    const before = this.#deleting.get(key);
    const deleting = (before ? before.then(() => this.#delete(ref, key)) : this.#delete(ref, key)).finally(() => {
      if (this.#deleting.get(key) === deleting) this.#deleting.delete(key);
    });
    this.#deleting.set(key, deleting);
    return deleting;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...[...this.#apps.values()].map((app) => this.#stop(app)), ...this.#deleting.values()]);
    for (const log of this.#state.logs.values()) log.end(false);
  }

  async #delete(ref: AppRef, key: string): Promise<void> {
    await this.#stop(this.#app(ref), 0);
    this.#log(ref).end(true);
    this.#state.logs.delete(key);
    for (const name of this.#state.established) {
      if (name.startsWith(`${key}/`)) this.#state.established.delete(name);
    }
    this.#apps.delete(key);
  }

  async #stop(app: FakeApp, drainMs?: number): Promise<void> {
    app.targetBefore = app.wanted?.traffic ?? null;
    app.wanted = { ref: app.ref, revisions: [], traffic: null };
    this.#reconcile(app);
    await Promise.all([...app.leaving].map((run) => run.stop(drainMs)));
  }

  #run(app: FakeApp, revision: WantedApp["revisions"][number]): FakeRun {
    const { address, token, readSecret, platformUrl, drainMs, stopMs } = this.#options;
    return new FakeRun(
      {
        program: this.script(revision),
        at: { ...(address ? { address } : {}), ...(token === undefined ? {} : { token }) },
        platformUrl: platformUrl ?? "http://127.0.0.1:7654",
        readSecret: readSecret ?? (() => Promise.reject(new Error("the fake has no secrets"))),
        drainMs: drainMs ?? 30_000,
        stopMs: stopMs ?? 10_000,
        write: (line) => this.#log(app.ref).add(line),
        changed: () => this.#reconcile(app),
        leased: (by) => {
          this.leases += by;
        },
      },
      revision,
      this.#state.established.has(`${keyOf(app.ref)}/${revision.name}`),
    );
  }

  /** Retires what is not wanted, tells the conditions, and moves the traffic when its target is ready. */
  #reconcile(app: FakeApp): void {
    const { wanted } = app;
    if (!wanted) return;
    const names = new Set(wanted.revisions.map(({ name }) => name));
    const target = wanted.traffic;
    const isMoving = target !== null && names.has(target) && app.route !== target;
    for (const [name, run] of app.runs) {
      if (!names.has(name) && !(isMoving && name === app.route)) this.#retire(app, name, run);
    }
    for (const [name, run] of app.runs) app.board.set({ revision: name, ...conditionOf(app, run) });
    // A turn of the event loop later, so that a reader can see the step before it.
    if (isMoving && app.runs.get(target)?.ready) setImmediate(() => this.#switch(app, target));
  }

  #switch(app: FakeApp, target: string): void {
    const run = app.runs.get(target);
    if (app.wanted?.traffic !== target || app.route === target || !run?.ready) return;
    run.established = true;
    this.#state.established.add(`${keyOf(app.ref)}/${target}`);
    app.route = target;
    this.#reconcile(app);
  }

  #retire(app: FakeApp, name: string, run: FakeRun): void {
    app.runs.delete(name);
    app.leaving.add(run);
    if (app.route === name) app.route = null;
    const last = app.board.get(name)?.ready;
    if (last !== "True" && last !== "False") {
      const message = `Revision "${name}" was deleted.`;
      const cause = causeOf("superseded", { revision: name });
      app.board.set({ revision: name, ready: "False", reason: "RevisionDeleted", message, cause });
    }
    if (last === "True" || (last !== "False" && name !== app.targetBefore)) app.board.forget(name);
    void run.stop().finally(() => app.leaving.delete(run));
  }

  #app(ref: AppRef): FakeApp {
    const key = keyOf(ref);
    let app = this.#apps.get(key);
    if (!app) {
      const { project, domain, name } = ref;
      app = {
        ref: { project, domain, name },
        board: new ConditionBoard(),
        wanted: undefined,
        targetBefore: null,
        route: null,
        runs: new Map(),
        leaving: new Set(),
      };
      this.#apps.set(key, app);
    }
    return app;
  }

  #log(ref: AppRef): FakeLog {
    const key = keyOf(ref);
    const log = this.#state.logs.get(key) ?? new FakeLog();
    this.#state.logs.set(key, log);
    return log;
  }
}

function conditionOf({ ref, route, wanted }: FakeApp, run: FakeRun): Omit<Condition, "revision"> {
  const { name } = run.revision;
  if (route === name) return { ready: "True", reason: "", message: "" };
  if (run.cause) return failed(name, run.cause);
  if (run.ready && wanted?.traffic === name) {
    return { ready: "Unknown", reason: "IngressNotConfigured", message: "Ingress has not yet been reconciled." };
  }
  if (route !== null) {
    const message = "Traffic is not yet migrated to the latest revision.";
    return { ready: "Unknown", reason: "TrafficNotMigrated", message };
  }
  const message = `Configuration "${ref.name}" is waiting for a Revision to become ready.`;
  return { ready: "Unknown", reason: "RevisionMissing", message };
}

function failed(name: string, cause: FailureCause): Omit<Condition, "revision"> {
  const message = `Revision "${name}" failed with message: ${cause.message}${cause.message.endsWith(".") ? "" : "."}`;
  return { ready: "False", reason: "RevisionFailed", message, cause };
}

function keyOf({ project, domain, name }: AppRef): string {
  return `${project}/${domain}/${name}`;
}
