/** Keep-alive connections to replicas, by address. */
import { type ReplicaAddress, UpstreamConnection } from "./connection.ts";

/** Limits of an {@link UpstreamPool}. */
export interface PoolOptions {
  /** Idle connections kept for one address. */
  maxIdle?: number;
  /**
   * Longest time that a connection stays idle, in milliseconds. Node's servers close theirs after 5 s; a request at
   * that moment loses the request, so ours must be the shorter.
   */
  idleMs?: number;
  /** Monotonic clock, milliseconds. */
  now?: () => number;
}

const MAX_IDLE = 256;
const IDLE_MS = 4000;
/** How much earlier than the replica says (`Keep-Alive: timeout=`) an idle connection is given up. */
const MARGIN_MS = 1000;
const SWEEP_MS = 1000;

/** Hands out connections and takes them back. Every connection that it made is known to it until it is gone. */
export class UpstreamPool {
  readonly #maxIdle: number;
  readonly #idleMs: number;
  readonly #now: () => number;
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #all = new Set<UpstreamConnection>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions = {}) {
    this.#maxIdle = options.maxIdle ?? MAX_IDLE;
    this.#idleMs = options.idleMs ?? IDLE_MS;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Connections, in use and idle. */
  get size(): number {
    return this.#all.size;
  }

  /** Idle connections. */
  get idle(): number {
    let count = 0;
    for (const list of this.#idle.values()) count += list.length;
    return count;
  }

  /** A connection to `address`: the one that was used last, or a new one. `fresh`: always a new one. */
  take(address: ReplicaAddress, fresh: boolean): UpstreamConnection {
    const key = keyOf(address);
    if (!fresh) {
      const list = this.#idle.get(key);
      if (list !== undefined && list.length > 0) {
        const now = this.#now();
        for (let connection = list.pop(); connection !== undefined; connection = list.pop()) {
          if (now - connection.idleSince < connection.idleLimit) return connection;
          connection.destroy();
        }
      }
    }
    const connection: UpstreamConnection = new UpstreamConnection(address, {
      idle: (idle, keepAliveSeconds) => this.#put(key, idle, keepAliveSeconds),
      gone: (gone) => {
        this.#all.delete(gone);
        const list = this.#idle.get(key);
        const at = list?.indexOf(gone) ?? -1;
        if (at >= 0) list?.splice(at, 1);
      },
    });
    this.#all.add(connection);
    return connection;
  }

  /** Drops every connection, those in use too. */
  close(): void {
    for (const connection of [...this.#all]) connection.abort(new Error("the gateway was closed"));
    this.#idle.clear();
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  /** Drops the connections that have been idle too long, and forgets addresses without one. */
  sweep(): void {
    const now = this.#now();
    for (const [key, list] of this.#idle) {
      // The list is in the order in which they became idle; but their limits may differ.
      for (const connection of list.filter((one) => now - one.idleSince >= one.idleLimit)) connection.destroy();
      if (list.length === 0) this.#idle.delete(key);
    }
    if (this.#idle.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #put(key: string, connection: UpstreamConnection, keepAliveSeconds: number | undefined): void {
    const limit =
      keepAliveSeconds === undefined ? this.#idleMs : Math.min(this.#idleMs, keepAliveSeconds * 1000 - MARGIN_MS);
    let list = this.#idle.get(key);
    if (list === undefined) {
      list = [];
      this.#idle.set(key, list);
    }
    if (limit <= 0 || list.length >= this.#maxIdle) {
      connection.destroy();
      return;
    }
    connection.idleSince = this.#now();
    connection.idleLimit = limit;
    list.push(connection);
    this.#sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
  }
}

function keyOf(address: ReplicaAddress): string {
  return "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
}
