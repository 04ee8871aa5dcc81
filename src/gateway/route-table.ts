/** What a gateway in a process of its own knows: routes and keys, as the platform pushes them. Plain data, in numbered steps. */
import { createHash } from "node:crypto";
import { parseApiKey } from "../core/api-key.ts";
import type { Lease } from "../core/lease.ts";
import type { Verdict } from "./gateway.ts";
import type { Route } from "./route.ts";

/** A replica that requests may go to. */
export interface ReplicaRow {
  /** Names one life of a replica: an address that is used again has another id. */
  id: string;
  replica: string;
  revision: string;
  address: Lease["address"];
  token?: string;
}

/** The route of an app. */
export interface RouteRow {
  app: string;
  requiresAuth: boolean;
  requestTimeoutMs: number;
  stopped: boolean;
  /** Those that are ready. Empty: none is. */
  replicas: ReplicaRow[];
  /** None is ready, and one is coming up. */
  isComing: boolean;
}

/** From the platform to each gateway. */
export type ToGateway =
  | {
      type: "config";
      /** What the host names of apps end with: `.apps.localhost`. */
      suffix: string;
      publicProto: "http" | "https";
      /** Where everything goes that is no app's. */
      platform: { socketPath: string; token: string };
    }
  | {
      type: "table";
      number: number;
      /** The whole table: what is not in it is gone. */
      isWhole: boolean;
      /** By sub-domain; null: the route is gone. */
      routes: [subdomain: string, row: RouteRow | null][];
      /** SHA-256 of the 256 random bits of each API key, in hex; false: it is gone. */
      keys: [hash: string, isValid: boolean][];
      /** One-use tokens of the platform's own requests, each for one host. */
      probes: [token: string, host: string][];
    }
  /** Takes no more connections, and breaks off what is left after `graceMs`. */
  | { type: "drain"; graceMs: number }
  /** Another gateway takes over: as drain, but clients close their connections themselves. */
  | { type: "retire"; graceMs: number };

/** From a gateway to the platform. */
export type FromGateway =
  /** It listens and needs the configuration and the whole table. */
  | { type: "hello" }
  | { type: "applied"; number: number }
  /** No request to that replica is under way, and none will come. */
  | { type: "idle"; id: string }
  /** Keys that requests carried since the last time. */
  | { type: "used"; keys: string[] };

/** How long used keys are gathered before they are reported, in milliseconds. */
const USED_MS = 1000;

/** The tables of one gateway. */
export class GatewayTable {
  readonly #routes = new Map<string, TableRoute>();
  readonly #keys = new Set<string>();
  readonly #probes = new Map<string, string>();
  /** Requests under way, by replica. */
  readonly #held = new Map<string, number>();
  /** Replicas that no route has any more and that still have requests under way. */
  readonly #leaving = new Set<string>();
  readonly #used = new Set<string>();
  readonly #send: (message: FromGateway) => void;
  #reporting: NodeJS.Timeout | undefined;

  constructor(send: (message: FromGateway) => void) {
    this.#send = send;
  }

  /** The route of a sub-domain. */
  route(subdomain: string): Route | undefined {
    return this.#routes.get(subdomain);
  }

  /** Judges an Authorization field: `Bearer <platform key>`. */
  authorize(authorization: string | undefined): Verdict {
    const [, key] = (authorization === undefined ? null : /^Bearer +(\S+) *$/i.exec(authorization)) ?? [];
    const parts = key === undefined ? undefined : parseApiKey(key);
    const hash = parts && createHash("sha256").update(parts.secret).digest("hex");
    if (hash === undefined || !this.#keys.has(hash)) {
      const detail = "this app requires an API key of the platform: Authorization: Bearer <key>";
      return { ok: false, status: 401, code: "UNAUTHENTICATED", detail };
    }
    this.#used.add(hash);
    this.#reporting ??= setTimeout(() => this.#reportUsed(), USED_MS).unref();
    return { ok: true };
  }

  /** True once for each probe token, and only for its host. */
  redeemProbe(token: string, host: string): boolean {
    if (this.#probes.get(token) !== host) return false;
    this.#probes.delete(token);
    return true;
  }

  /** Takes over a step of the tables. */
  apply(step: Extract<ToGateway, { type: "table" }>): void {
    const before = this.#replicas();
    const replaced = step.isWhole
      ? [...this.#routes.values()]
      : step.routes.flatMap(([subdomain]) => this.#routes.get(subdomain) ?? []);
    if (step.isWhole) {
      this.#routes.clear();
      this.#keys.clear();
    }
    for (const [subdomain, row] of step.routes) {
      if (row) this.#routes.set(subdomain, new TableRoute(row, (id) => this.#take(id)));
      else this.#routes.delete(subdomain);
    }
    for (const [hash, isValid] of step.keys) {
      if (isValid) this.#keys.add(hash);
      else this.#keys.delete(hash);
    }
    for (const [token, host] of step.probes) this.#probes.set(token, host);
    const after = this.#replicas();
    for (const route of replaced) route.replaced();
    this.#send({ type: "applied", number: step.number });
    for (const id of before) {
      if (after.has(id)) continue;
      if (this.#held.has(id)) this.#leaving.add(id);
      else this.#send({ type: "idle", id });
    }
  }

  #replicas(): Set<string> {
    return new Set([...this.#routes.values()].flatMap(({ row }) => row.replicas.map(({ id }) => id)));
  }

  #take(id: string): () => void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const left = (this.#held.get(id) ?? 1) - 1;
      if (left > 0) {
        this.#held.set(id, left);
        return;
      }
      this.#held.delete(id);
      if (this.#leaving.delete(id)) this.#send({ type: "idle", id });
    };
  }

  #reportUsed(): void {
    this.#reporting = undefined;
    this.#send({ type: "used", keys: [...this.#used] });
    this.#used.clear();
  }
}

class TableRoute implements Route {
  readonly row: RouteRow;
  readonly #take: (id: string) => () => void;
  readonly coming: Promise<void> | undefined;
  replaced: () => void = () => undefined;
  #next = 0;

  constructor(row: RouteRow, take: (id: string) => () => void) {
    this.row = row;
    this.#take = take;
    if (row.isComing) {
      this.coming = new Promise((resolve) => {
        this.replaced = resolve;
      });
    }
  }

  get app(): string {
    return this.row.app;
  }

  get requiresAuth(): boolean {
    return this.row.requiresAuth;
  }

  get requestTimeoutMs(): number {
    return this.row.requestTimeoutMs;
  }

  get stopped(): boolean {
    return this.row.stopped;
  }

  lease(): Lease | null {
    const { replicas } = this.row;
    const row = replicas[this.#next++ % Math.max(1, replicas.length)];
    if (!row) return null;
    const { replica, revision, address, token, id } = row;
    return { replica, revision, address, ...(token === undefined ? {} : { token }), release: this.#take(id) };
  }
}
