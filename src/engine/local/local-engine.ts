/** The engine `local`: it owns replicas, readiness and routing itself, and runs replicas with one {@link Runtime}. */
import { join } from "node:path";
import type { AppRef, AppSpec, FailureCause, LogLine, ReplicaStatus } from "../../contract/types.ts";
import type { Fault } from "../../core/errors.ts";
import type { Lease } from "../../core/lease.ts";
import type { LogLimits } from "../../core/log-writer.ts";
import type { Condition, Engine, EngineFacts, LogQuery, WantedApp } from "../engine.ts";
import { AppSupervisor, type SupervisorContext } from "./app-supervisor.ts";
import { type Clock, systemClock } from "./clock.ts";
import { DRAIN_MS, STOP_MS } from "./drain-time.ts";
import { EstablishedRevisions } from "./established.ts";
import { AppLog } from "./logs/app-log.ts";
import { readLog } from "./logs/read-log.ts";
import { OTHER_PORT_MS } from "./readiness.ts";
import type { BeforeStep } from "./revision-run.ts";
import type { Runtime } from "./runtime.ts";
import { checkSpec } from "./spec-check.ts";
import { StartGate } from "./start-gate.ts";

/** How long replicas of an earlier platform may take to answer this one, in milliseconds, and how often that is looked at. */
const TAKE_OVER_MS = 5_000;
const TAKE_OVER_LOOK_MS = 5;

/** What the engine needs. Directories are absolute; times are in milliseconds. */
export interface LocalEngineOptions {
  /** What outlives the platform: logs, and which revisions have served. */
  stateDir: string;
  /** Gets messages for the platform's own log: one line each, never a secret. */
  log(message: string): void;
  clock?: Clock;
  /** How long requests under way may take when a replica is to end. Default {@link DRAIN_MS}. */
  drainMs?: number;
  /** How long a replica may take to end after SIGTERM. Default {@link STOP_MS}. */
  stopMs?: number;
  /** How long a starting replica may listen on another port only. Default {@link OTHER_PORT_MS}. */
  otherPortMs?: number;
  logLimits?: LogLimits;
  /** Holds a revision at a step, for tests that look at what is true there. */
  beforeStep?: BeforeStep;
}

/** Makes the engine that runs replicas with `runtime`. What a killed platform left running has ended when it resolves. */
export async function createLocalEngine(options: LocalEngineOptions, runtime: Runtime): Promise<Engine> {
  await runtime.recover();
  return new LocalEngine(options, runtime);
}

class LocalEngine implements Engine {
  readonly #options: LocalEngineOptions;
  readonly #runtime: Runtime;
  readonly #context: SupervisorContext;
  readonly #apps = new Map<string, AppSupervisor>();
  /** The last delete of an app that is under way; a new life of the app waits for its end. */
  readonly #deleting = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(ref: AppRef) => void>();
  #closed = false;

  constructor(options: LocalEngineOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#context = {
      runtime,
      clock: options.clock ?? systemClock,
      beforeStep: options.beforeStep ?? (async () => {}),
      drainMs: options.drainMs ?? DRAIN_MS,
      stopMs: options.stopMs ?? STOP_MS,
      otherPortMs: options.otherPortMs ?? OTHER_PORT_MS,
      startGate: new StartGate(),
      established: new EstablishedRevisions(join(options.stateDir, "established")),
      log: options.log,
      changed: (ref) => {
        for (const listener of this.#listeners) listener(ref);
      },
    };
  }

  facts(): EngineFacts {
    return { name: "local", runtime: this.#runtime.name, ...this.#runtime.facts() };
  }

  check(spec: AppSpec): Fault[] {
    return [...checkSpec(spec), ...this.#runtime.check(spec)];
  }

  warnings(spec: AppSpec): string[] {
    return this.#runtime.warnings(spec);
  }

  async apply(wanted: WantedApp): Promise<void> {
    const deleting = this.#deleting.get(keyOf(wanted.ref));
    // Without one this happens before the call returns: a delete that comes next must find what it is to end.
    if (deleting) await settled(deleting);
    if (!this.#closed) this.#app(wanted.ref).apply(wanted);
  }

  observe(ref: AppRef, revision: string, signal: AbortSignal): AsyncIterable<Condition> {
    return this.#app(ref).board.watch(revision, signal);
  }

  replicas(ref: AppRef): ReplicaStatus[] {
    return this.#apps.get(keyOf(ref))?.replicas() ?? [];
  }

  lastFailure(ref: AppRef, revision: string): FailureCause | undefined {
    return this.#apps.get(keyOf(ref))?.lastFailure(revision);
  }

  serving(ref: AppRef): string | null {
    return this.#apps.get(keyOf(ref))?.serving ?? null;
  }

  lease(ref: AppRef): Lease | null {
    return this.#apps.get(keyOf(ref))?.lease() ?? null;
  }

  logs(ref: AppRef, query: LogQuery): AsyncIterable<LogLine> {
    return readLog(this.#app(ref).output, query);
  }

  delete(ref: AppRef): Promise<void> {
    const key = keyOf(ref);
    const before = this.#deleting.get(key);
    // Behind the one before, since a state may have been applied between the two.
    const deleting = (before ? settled(before).then(() => this.#delete(ref, key)) : this.#delete(ref, key)).finally(
      () => {
        if (this.#deleting.get(key) === deleting) this.#deleting.delete(key);
      },
    );
    this.#deleting.set(key, deleting);
    return deleting;
  }

  onChange(listener: (ref: AppRef) => void): void {
    this.#listeners.add(listener);
  }

  async resumed(): Promise<void> {
    await this.#runtime.endOrphans?.();
    // Those that were adopted answer, or are known not to.
    const { clock } = this.#context;
    for (let waited = 0; waited < TAKE_OVER_MS; waited += TAKE_OVER_LOOK_MS) {
      if (![...this.#apps.values()].some((app) => app.isTakingOver)) return;
      await clock.sleep(TAKE_OVER_LOOK_MS);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([
      ...[...this.#apps.values()].map(async (app) => {
        await app.stop();
        await app.output.close();
      }),
      ...[...this.#deleting.values()].map(settled),
    ]);
    await this.#runtime.close();
  }

  async #delete(ref: AppRef, key: string): Promise<void> {
    const app = this.#app(ref);
    await app.stop(0);
    await app.output.close(true);
    this.#context.established.remove(ref);
    await this.#runtime.forget(ref);
    this.#apps.delete(key);
  }

  #app(ref: AppRef): AppSupervisor {
    const key = keyOf(ref);
    let app = this.#apps.get(key);
    if (!app) {
      const { project, domain, name } = ref;
      const dir = join(this.#options.stateDir, "logs", project, domain, name);
      app = new AppSupervisor(this.#context, { project, domain, name }, new AppLog(dir, this.#options.logLimits));
      this.#apps.set(key, app);
    }
    return app;
  }
}

/** Resolves at the end of `done`, good or bad: who asked for it hears how it ended. */
function settled(done: Promise<void>): Promise<void> {
  return done.catch(() => {});
}

const keys = new WeakMap<AppRef, string>();

/** The gateway asks with the same ref several times for each request: its key is made once. */
function keyOf(ref: AppRef): string {
  const known = keys.get(ref);
  if (known !== undefined) return known;
  const key = `${ref.project}/${ref.domain}/${ref.name}`;
  keys.set(ref, key);
  return key;
}
