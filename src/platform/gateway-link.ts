/** Pushes routes and keys to the gateways of other processes, and holds the replicas that they send requests to. */
import { randomBytes } from "node:crypto";
import type { AppRef } from "../contract/types.ts";
import type { Lease } from "../core/lease.ts";
import type { Engine } from "../engine/engine.ts";
import type { FromGateway, RouteRow, ToGateway } from "../gateway/route-table.ts";
import type { KeyStore } from "./keys/key-store.ts";
import type { AppRecord, AppStore } from "./store/app-store.ts";

/** What carries messages to the gateways. */
export interface GatewayWire {
  /** To one gateway, or to all. */
  send(message: ToGateway, worker?: number): void;
}

/** What a link reads. */
export interface LinkSources {
  store: AppStore;
  engine: Engine;
  keys: KeyStore;
  config: Extract<ToGateway, { type: "config" }>;
  /** Number of gateways: one that is not there yet is waited for, too. */
  workers: number;
}

/** Time-out of an app whose revision is not known yet, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 300_000;
/** A gateway that does not confirm a step for so long, in milliseconds, is not waited for any more. */
const CONFIRM_MS = 2_000;

interface Standing {
  id: string;
  lease: Lease;
}

/** The platform's side of all gateways. */
export class GatewayLink {
  readonly #sources: LinkSources;
  readonly #wire: GatewayWire;
  /** The last step that each gateway has confirmed. */
  readonly #confirmed = new Map<number, number>();
  /** What was pushed last, by sub-domain, as text. */
  readonly #pushed = new Map<string, { text: string; row: RouteRow }>();
  readonly #pushedKeys = new Set<string>();
  /** The replica that each sub-domain's requests go to; held, so that it does not end under one. */
  readonly #standing = new Map<string, Standing>();
  /** Replicas that no route has any more, with the gateways that may still have requests under way. */
  readonly #leaving = new Map<string, { lease: Lease; workers: Set<number> }>();
  readonly #dirty = new Set<string>();
  readonly #waiting = new Set<() => void>();
  #number = 0;
  #isOpen = false;
  #isDraining = false;
  #scheduled = false;

  constructor(sources: LinkSources, wire: GatewayWire) {
    this.#sources = sources;
    this.#wire = wire;
    const { store, engine, keys } = sources;
    store.onChange((appId) => {
      const app = store.byId(appId);
      if (app) this.#mark(app.subdomain);
      else for (const subdomain of this.#pushed.keys()) this.#mark(subdomain);
    });
    engine.onChange?.((ref) => {
      const app = store.find(ref);
      if (app) this.#mark(app.subdomain);
    });
    keys.onChange(() => this.#schedule());
  }

  /** Takes a message of a gateway. */
  received(worker: number, message: FromGateway): void {
    switch (message.type) {
      case "hello":
        this.#confirmed.set(worker, -1);
        this.#wire.send(this.#sources.config, worker);
        if (this.#isOpen) this.#sendWhole(worker);
        return;
      case "applied":
        this.#confirmed.set(worker, message.number);
        for (const wake of [...this.#waiting]) wake();
        return;
      case "idle":
        this.#idle(worker, message.id);
        return;
      case "used":
        for (const hash of message.keys) this.#sources.keys.recordUse(hash);
    }
  }

  /**
   * Begins to push. Until then gateways keep what an earlier platform has pushed: the apps have to be as they were before.
   */
  open(): void {
    this.#isOpen = true;
    for (const worker of this.#confirmed.keys()) this.#sendWhole(worker);
  }

  /** A gateway is gone, and with it the requests that it had under way. */
  gone(worker: number): void {
    this.#confirmed.delete(worker);
    for (const id of [...this.#leaving.keys()]) this.#idle(worker, id);
    for (const wake of [...this.#waiting]) wake();
  }

  /** Pushes everything that has changed; resolves when every gateway has it, or is not waited for any more. */
  async synced(): Promise<void> {
    this.#flush();
    await this.#confirmedBy(this.#number);
  }

  /** Makes a token with which one request to `host` passes without a key, and resolves when every gateway knows it. */
  async allowProbe(host: string): Promise<string> {
    const token = randomBytes(24).toString("base64url");
    this.#step({ routes: [], keys: [], probes: [[token, host]] });
    await this.#confirmedBy(this.#number);
    return token;
  }

  /** Lets the gateways end: no app gets requests any more. */
  drain(graceMs: number): void {
    this.#isDraining = true;
    for (const subdomain of this.#pushed.keys()) this.#dirty.add(subdomain);
    this.#flush();
    this.#wire.send({ type: "drain", graceMs });
  }

  #confirmedBy(number: number): Promise<void> {
    const isDone = () => {
      const confirmed = [...this.#confirmed.values()];
      return confirmed.length >= this.#sources.workers && confirmed.every((step) => step >= number);
    };
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const wake = () => {
        if (isDone()) end();
      };
      const timer = setTimeout(end, CONFIRM_MS);
      this.#waiting.add(wake);
    });
  }

  #mark(subdomain: string): void {
    this.#dirty.add(subdomain);
    this.#schedule();
  }

  /** Several changes of one turn go in one step. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#isOpen) return;
    const routes: [string, RouteRow | null][] = [];
    for (const subdomain of this.#dirty) {
      const before = this.#pushed.get(subdomain);
      const row = this.#rowOf(subdomain);
      const text = JSON.stringify(row);
      if (row === null) {
        if (!before) continue;
        this.#pushed.delete(subdomain);
      } else if (before?.text === text) continue;
      else this.#pushed.set(subdomain, { text, row });
      routes.push([subdomain, row]);
    }
    this.#dirty.clear();
    const keys = this.#changedKeys();
    if (routes.length + keys.length > 0) this.#step({ routes, keys, probes: [] });
  }

  #step(step: Pick<Extract<ToGateway, { type: "table" }>, "routes" | "keys" | "probes">): void {
    this.#number++;
    this.#wire.send({ type: "table", number: this.#number, isWhole: false, ...step });
  }

  #sendWhole(worker: number): void {
    for (const app of this.#sources.store.all()) this.#dirty.add(app.subdomain);
    this.#flush();
    const routes = [...this.#pushed].map(([subdomain, { row }]): [string, RouteRow] => [subdomain, row]);
    const keys = [...this.#pushedKeys].map((hash): [string, boolean] => [hash, true]);
    this.#wire.send({ type: "table", number: this.#number, isWhole: true, routes, keys, probes: [] }, worker);
  }

  #changedKeys(): [string, boolean][] {
    const now = this.#sources.keys.hashes();
    const changed: [string, boolean][] = [];
    for (const hash of now) if (!this.#pushedKeys.has(hash)) changed.push([hash, true]);
    for (const hash of this.#pushedKeys) if (!now.has(hash)) changed.push([hash, false]);
    for (const [hash, isValid] of changed) {
      if (isValid) this.#pushedKeys.add(hash);
      else this.#pushedKeys.delete(hash);
    }
    return changed;
  }

  #rowOf(subdomain: string): RouteRow | null {
    const app = this.#sources.store.bySubdomain(subdomain);
    if (!app || app.deleting) {
      this.#leave(subdomain);
      return null;
    }
    const { engine, store } = this.#sources;
    const ref: AppRef = { project: app.project, domain: app.domain, name: app.name };
    const serving = engine.serving(ref);
    const spec = serving === null ? undefined : store.revision(app.id, serving)?.spec;
    const replica = this.#isDraining ? this.#leave(subdomain) : this.#stand(app, ref);
    return {
      app: app.name,
      requiresAuth: spec?.requiresAuth ?? false,
      requestTimeoutMs: spec ? spec.requestTimeout * 1000 : DEFAULT_TIMEOUT_MS,
      stopped: app.stopped && serving === null,
      replicas: replica
        ? [
            {
              id: replica.id,
              replica: replica.lease.replica,
              revision: replica.lease.revision,
              address: replica.lease.address,
              ...(replica.lease.token === undefined ? {} : { token: replica.lease.token }),
            },
          ]
        : [],
      isComing: !replica && !this.#isDraining && this.#isComing(app, ref),
    };
  }

  /** True while a revision that has served before is being started, or is ready and about to get the traffic. */
  #isComing(app: AppRecord, ref: AppRef): boolean {
    if (app.stopped || app.currentRevision === null) return false;
    const replicas = this.#sources.engine.replicas(ref);
    const isUp = (state: string) => state === "Starting" || state === "Ready";
    return replicas.some(({ revision, state }) => revision === app.currentRevision && isUp(state));
  }

  /** Takes the replica that requests go to now, and lets go of the one before when no gateway has requests for it. */
  #stand({ subdomain }: AppRecord, ref: AppRef): Standing | undefined {
    const lease = this.#sources.engine.lease(ref);
    if (!lease) return this.#leave(subdomain);
    const id = `${lease.replica} ${JSON.stringify(lease.address)}`;
    const before = this.#standing.get(subdomain);
    if (before?.id === id) {
      lease.release();
      return before;
    }
    this.#leave(subdomain);
    const standing = { id, lease };
    this.#standing.set(subdomain, standing);
    return standing;
  }

  #leave(subdomain: string): undefined {
    const before = this.#standing.get(subdomain);
    if (!before) return;
    this.#standing.delete(subdomain);
    const workers = new Set(this.#confirmed.keys());
    if (workers.size === 0) before.lease.release();
    else this.#leaving.set(before.id, { lease: before.lease, workers });
  }

  #idle(worker: number, id: string): void {
    const leaving = this.#leaving.get(id);
    if (!leaving) return;
    leaving.workers.delete(worker);
    if (leaving.workers.size > 0) return;
    this.#leaving.delete(id);
    leaving.lease.release();
  }
}
