/** The public listener: which requests an app gets, and which connections carry no more of them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { type Gateway, opensTunnel } from "./gateway.ts";
import {
  badRequest,
  isAnswering,
  noHost,
  type Refusal,
  refuseUnreadable,
  sendRefusal,
  writeRefusal,
} from "./refusal.ts";

/** The handlers of a listener. */
export interface ListenerParts {
  gateway: Gateway;
  /** True for the lower-case host name of an app. */
  isApp(host: string): boolean;
  /**
   * Answers a request that is no app's. `mayContinue`: the client waits for 100. A returned refusal is sent, and its connection
   * carries nothing more.
   */
  other(request: IncomingMessage, response: ServerResponse, host: string, mayContinue: boolean): Refusal | undefined;
}

/** The HTTP server of a gateway. Let it listen with `server`. */
export class Listener {
  readonly server: Server;
  /** Connections on which a change of protocols was declined, with the request that asked for it. */
  readonly #declined = new WeakMap<Duplex, IncomingMessage>();
  /** Connections that a refusal closes. node:http may have read more requests of them; none of those is answered. */
  readonly #closing = new WeakSet<Duplex>();
  readonly #parts: ListenerParts;
  #isRetiring = false;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.server = createServer(
      {
        // No limit on a whole request: uploads take as long as they take. Heads are limited.
        requestTimeout: 0,
        headersTimeout: 30_000,
        maxHeaderSize: 32 * 1024,
        noDelay: true,
        // A request without a body has none to wait for (Node 24 and later).
        ...{ optimizeEmptyRequests: true },
        // Without it node:http takes every request with an Upgrade field for one, and its body is lost (Node 24 and later).
        shouldUpgradeCallback: (req) => {
          if (opensTunnel(req)) return true;
          // The first one counts: a second one is what must not follow it.
          if (!this.#declined.has(req.socket)) this.#declined.set(req.socket, req);
          return false;
        },
      },
      (req, res) => this.#handle(req, res, false),
    );
    this.server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => this.#handle(req, res, true));
    this.server.on("clientError", refuseUnreadable);
    this.server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(req, socket, head));
  }

  /** Takes no new connections, lets running requests end for `graceMs`, then breaks what is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }

  /**
   * Takes no new connections, and lets clients close theirs: each response says so from now on. Connections that are idle end at
   * their own time-out. Resolves when none is left.
   */
  async retire(): Promise<void> {
    this.#isRetiring = true;
    // Not http's own close(), which breaks idle connections on which a request may be on its way.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(this.server, () => resolve()));
    await closed;
  }

  #handle(req: IncomingMessage, res: ServerResponse, mayContinue: boolean): void {
    if (this.#closing.has(req.socket)) return;
    if (this.#isRetiring) res.shouldKeepAlive = false;
    // node:http drops what it has read together with such a request, and takes whatever comes next for a request's
    // beginning: it could be the middle of a body. So the connection carries nothing more.
    const declined = this.#declined.get(req.socket);
    if (declined === req) res.shouldKeepAlive = false;
    else if (declined !== undefined) {
      this.#refuse(req, res, badRequest("no request can follow a declined change of protocols on the same connection"));
      return;
    }
    const host = hostOfField(req.headers.host);
    if (host === undefined) this.#refuse(req, res, noHost());
    else if (this.#parts.isApp(host)) this.#parts.gateway.handle(req, res, host);
    else {
      const refusal = this.#parts.other(req, res, host, mayContinue);
      if (refusal) this.#refuse(req, res, refusal);
    }
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => undefined); // node:http no longer listens: a reset would end this process
    const host = hostOfField(req.headers.host);
    // Answers leave in the order of their requests; with the connection in other hands, those before cannot any more.
    if (isAnswering(socket)) socket.destroy();
    else if (host !== undefined && this.#parts.isApp(host)) this.#parts.gateway.upgrade(req, socket, head, host);
    else writeRefusal(socket, badRequest("only apps change protocols"));
  }

  #refuse(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
    this.#closing.add(req.socket);
    sendRefusal(res, { ...refusal, close: true });
  }
}

/** The name in a Host field in lower case, without the port; undefined for what is none. */
export function hostOfField(field: string | undefined): string | undefined {
  const match = field === undefined ? null : /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(field);
  return match?.[1]?.toLowerCase();
}
