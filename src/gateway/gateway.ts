/**
 * The way of a request to an app: it finds the app by host, checks keys where the app wants that, takes a replica and
 * streams both ways. node:http faces the clients; towards replicas it has a lean client of its own (`upstream/`).
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Lease } from "../core/lease.ts";
import { startExchange } from "./exchange.ts";
import {
  appStopped,
  badRequest,
  NO_REPLICA,
  noReplica,
  noSuchApp,
  notAuthorized,
  type Refusal,
  sendRefusal,
  writeRefusal,
} from "./refusal.ts";
import { hasBody, type RequestFacts, readRequest, replicaHead } from "./request-head.ts";
import type { Route } from "./route.ts";
import { openTunnel, type Tunnel } from "./tunnel.ts";
import { UpstreamPool } from "./upstream/pool.ts";

/** Whether a caller may pass. */
export type Verdict = { ok: true } | { ok: false; status: 401 | 403; code: string; detail: string };

/** What the gateway asks the platform. */
export interface GatewayOptions {
  /** The route of a lower-case host name without port. */
  route(host: string): Route | undefined;
  /** Judges an Authorization field: `Bearer <platform key>`. */
  authorize(authorization: string | undefined): Verdict;
  /** True once for each of the platform's own probe tokens: such a request passes `requiresAuth`. */
  redeemProbe(token: string, host: string): boolean;
  /** How clients reach the platform: `x-forwarded-proto`. */
  publicProto(): "http" | "https";
}

/** Longest time that a request is held for an app that is coming up, in milliseconds. */
const LONGEST_HOLD_MS = 60_000;

function held(coming: Promise<void>, mostMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, mostMs);
    void coming.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Forwards requests and upgrades to replicas. The platform's server gives it those whose Host is an app's. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #pool = new UpstreamPool();
  readonly #tunnels = new Set<Tunnel>();
  /** Connections on which a request came whose end is not certain: what node:http reads behind it may be anything. */
  readonly #spent = new WeakSet<Duplex>();

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /**
   * Answers one request. `host` is lower-case and without port. Mount it on the server's `checkContinue` as well as on
   * `request`: then the replica decides whether a client that waits for 100 may send its body.
   */
  handle(req: IncomingMessage, res: ServerResponse, host: string, heldMs = 0): void {
    const admitted = this.#spent.has(req.socket)
      ? badRequest("nothing can follow a request that is not certain to have ended")
      : this.#admit(req, host, false);
    if ("status" in admitted) {
      const coming = admitted.code === NO_REPLICA ? this.#options.route(host)?.coming : undefined;
      if (coming && heldMs < LONGEST_HOLD_MS) {
        const began = performance.now();
        void held(coming, LONGEST_HOLD_MS - heldMs).then(() => {
          if (!res.destroyed) this.handle(req, res, host, heldMs + performance.now() - began);
        });
        return;
      }
      if (admitted.close) this.#spent.add(req.socket);
      sendRefusal(res, admitted);
      return;
    }
    const { route, lease, facts } = admitted;
    startExchange({
      request: req,
      response: res,
      route,
      lease,
      facts,
      head: this.#head(req, host, admitted, undefined),
      pool: this.#pool,
    });
  }

  /**
   * Forwards a request that is no app's to `route`, whose lease has no revision. Returns a refusal for one whose length is not
   * certain.
   */
  forward(req: IncomingMessage, res: ServerResponse, host: string, route: Route): Refusal | undefined {
    const facts = readRequest(req, host);
    if ("status" in facts) return facts;
    const lease = route.lease();
    if (lease === null) return route.away?.() ?? noReplica(route.app);
    const admitted = { route, lease, facts };
    startExchange({
      request: req,
      response: res,
      ...admitted,
      head: this.#head(req, host, admitted, undefined),
      pool: this.#pool,
    });
    return undefined;
  }

  /** Answers a request to change protocols; `socket` and `head` are those of the server's `upgrade` event. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, host: string, heldMs = 0): void {
    socket.on("error", () => undefined); // a client that resets is seen by its "close"
    const admitted = this.#admit(req, host, true);
    if ("status" in admitted) {
      const coming = admitted.code === NO_REPLICA ? this.#options.route(host)?.coming : undefined;
      if (coming && heldMs < LONGEST_HOLD_MS) {
        const began = performance.now();
        void held(coming, LONGEST_HOLD_MS - heldMs).then(() => {
          if (!socket.destroyed) this.upgrade(req, socket, head, host, heldMs + performance.now() - began);
        });
        return;
      }
      writeRefusal(socket, admitted);
      return;
    }
    const { route, lease, facts } = admitted;
    // Nobody offers HTTP/2 over clear text to apps, and a tunnel of it would carry requests past this gateway: such a
    // client (Java's, curl --http2) is answered in HTTP/1.1, as RFC 9110, section 7.8 has it.
    const protocol = opensTunnel(req) ? facts.upgrade : undefined;
    const tunnel: Tunnel = openTunnel({
      socket,
      early: head,
      route,
      lease,
      protocol,
      toHead: facts.method === "HEAD",
      head: this.#head(req, host, admitted, protocol),
      pool: this.#pool,
      closed: () => this.#tunnels.delete(tunnel),
    });
    this.#tunnels.add(tunnel);
  }

  /** Drops every connection to replicas, and with them the exchanges that are under way. End the server first. */
  close(): void {
    for (const tunnel of [...this.#tunnels]) tunnel.close();
    this.#pool.close();
  }

  #admit(req: IncomingMessage, host: string, upgrading: boolean): Admitted | Refusal {
    // First of all: whatever the request is for, nothing may follow one of uncertain length.
    const facts = readRequest(req, host);
    if ("status" in facts) return facts;
    const route = this.#options.route(host);
    if (route === undefined) return noSuchApp(host);
    if (upgrading && hasBody(facts)) return badRequest("a request to change protocols cannot have a body");
    if (route.requiresAuth && !(facts.probe !== undefined && this.#options.redeemProbe(facts.probe, host))) {
      const verdict = this.#options.authorize(facts.authorization);
      if (!verdict.ok) return notAuthorized(verdict, facts.authorization);
    }
    if (route.stopped) return appStopped(route.app);
    const lease = route.lease();
    if (lease === null) return noReplica(route.app);
    return { route, lease, facts };
  }

  #head(req: IncomingMessage, host: string, admitted: Admitted, upgrade: string | undefined): string {
    return replicaHead(admitted.facts, {
      routedHost: host,
      clientAddress: req.socket.remoteAddress,
      publicProto: this.#options.publicProto(),
      replicaToken: admitted.lease.token,
      // With requiresAuth it is a platform key, which is not the app's business.
      passAuthorization: !admitted.route.requiresAuth,
      upgrade,
    });
  }
}

/**
 * True when a request to change protocols is to become a tunnel. Give it to node:http as `shouldUpgradeCallback` (Node 24
 * and later): then all others come as ordinary requests, with their bodies.
 */
export function opensTunnel(request: IncomingMessage): boolean {
  const protocol = request.headers.upgrade;
  return protocol !== undefined && request.httpVersionMinor > 0 && !/(?:^|,)\s*h2c?\s*(?:,|$)/i.test(protocol);
}

interface Admitted {
  route: Route;
  lease: Lease;
  facts: RequestFacts;
}
