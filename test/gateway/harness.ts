/** Real servers and sockets around a gateway: a platform listener in front, replicas behind, raw clients before it. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { expect } from "vitest";
import type { Lease } from "../../src/core/lease.ts";
import { Gateway, type GatewayOptions, opensTunnel, type Verdict } from "../../src/gateway/gateway.ts";
import { refuseUnreadable } from "../../src/gateway/refusal.ts";
import type { Route } from "../../src/gateway/route.ts";
import { UndiciGateway } from "./undici-gateway.ts";

/** What the platform's server needs of a gateway; the oracle has it too. */
export interface Forwarder {
  handle(req: IncomingMessage, res: ServerResponse, host: string): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, host: string): void;
  close(): void;
}

/** Ours and the oracle. */
export const implementations: [name: string, make: (options: GatewayOptions) => Forwarder][] = [
  ["ours", (options) => new Gateway(options)],
  ["undici dispatch", (options) => new UndiciGateway(options)],
];

/** The host that the harness routes. */
export const HOST = "quiet-river-1a2b3.apps.localhost";
/** The revision that its leases carry. */
export const REVISION = "demo-00007";

/** A gateway between real sockets. */
export class Bench {
  readonly server: Server;
  readonly forwarder: Forwarder;
  readonly route: Route;
  /** Leases that were handed out and how often each was released. */
  readonly releases: number[] = [];
  verdict: (authorization: string | undefined) => Verdict = () => ({ ok: true });
  readonly probes = new Map<string, string>();
  address: Lease["address"] | undefined;
  token: string | undefined;
  #closers: (() => Promise<void> | void)[] = [];
  #changed: (() => void)[] = [];

  constructor(make: (options: GatewayOptions) => Forwarder) {
    this.route = {
      app: "demo",
      requiresAuth: false,
      requestTimeoutMs: 60_000,
      stopped: false,
      lease: () => this.#lease(),
    };
    this.forwarder = make({
      route: (host) => (host === HOST ? this.route : undefined),
      authorize: (authorization) => this.verdict(authorization),
      redeemProbe: (token, host) => this.probes.get(token) === host && this.probes.delete(token),
      publicProto: () => "http",
    });
    const hostOf = (req: IncomingMessage) => (req.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
    this.server = createServer({ shouldUpgradeCallback: opensTunnel }, (req, res) =>
      this.forwarder.handle(req, res, hostOf(req)),
    );
    this.server.on("checkContinue", (req, res) => this.forwarder.handle(req, res, hostOf(req)));
    this.server.on("upgrade", (req, socket, head) => this.forwarder.upgrade(req, socket, head, hostOf(req)));
    this.server.on("clientError", refuseUnreadable);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async start(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return this;
  }

  /** Starts a replica that node:http serves, on a unix socket, and routes to it. */
  async httpReplica(listener: RequestListener, on: "unix" | "tcp" = "unix"): Promise<Server> {
    const server = createServer(listener);
    server.on("checkContinue", listener);
    await this.#listen(server, on);
    this.#closers.push(() => server.closeAllConnections());
    return server;
  }

  /** Starts a replica that works on bare sockets, and routes to it. */
  async rawReplica(onConnection: (socket: Socket, index: number) => void): Promise<NetServer> {
    let count = 0;
    const sockets = new Set<Socket>();
    const server = createNetServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => undefined); // resets are part of these tests
      onConnection(socket, count++);
    });
    await this.#listen(server, "unix");
    this.#closers.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    return server;
  }

  /** A raw client. */
  client(): RawClient {
    const client = new RawClient(this.port);
    this.#closers.push(() => client.destroy());
    return client;
  }

  /** Resolves when every lease has been released. */
  async released(): Promise<void> {
    while (this.releases.some((count) => count === 0)) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    this.forwarder.close();
    this.server.close();
    this.server.closeAllConnections();
  }

  #lease(): Lease | null {
    if (this.address === undefined) return null;
    const index = this.releases.push(0) - 1;
    return {
      revision: REVISION,
      replica: "demo-00007-a",
      address: this.address,
      ...(this.token === undefined ? {} : { token: this.token }),
      release: () => {
        this.releases[index] = (this.releases[index] ?? 0) + 1;
        for (const resolve of this.#changed.splice(0)) resolve();
      },
    };
  }

  async #listen(server: Server | NetServer, on: "unix" | "tcp"): Promise<void> {
    if (on === "unix") {
      const dir = mkdtempSync(join(tmpdir(), "gw-"));
      this.#closers.push(() => rmSync(dir, { recursive: true, force: true }));
      server.listen(join(dir, "s"));
      await once(server, "listening");
      this.address = { socketPath: join(dir, "s") };
    } else {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      this.address = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    }
    this.#closers.push(() => void server.close());
  }
}

/** A client that says and hears exact bytes. Text is latin1. */
export class RawClient {
  readonly socket: Socket;
  received = "";
  /** How the connection ended, once it has. */
  ended: "open" | "end" | "close" | "reset" = "open";
  #waiting: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setNoDelay(true);
    this.socket.on("data", (bytes: Buffer) => {
      this.received += bytes.toString("latin1");
      this.#wake();
    });
    this.socket.on("end", () => this.#end("end"));
    this.socket.on("error", (error: NodeJS.ErrnoException) =>
      this.#end(error.code === "ECONNRESET" ? "reset" : "close"),
    );
    this.socket.on("close", () => this.#end("close"));
  }

  send(text: string | Uint8Array): this {
    if (typeof text === "string") this.socket.write(text, "latin1");
    else this.socket.write(text);
    return this;
  }

  /** Resolves with everything so far once `done` holds of it. Rejects when the connection ends without that. */
  async until(done: RegExp | ((text: string) => boolean)): Promise<string> {
    const holds = typeof done === "function" ? done : (text: string) => done.test(text);
    while (!holds(this.received)) {
      if (this.ended !== "open") throw new Error(`ended (${this.ended}) after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.received;
  }

  /** Resolves with everything once the connection has ended. */
  async untilEnd(): Promise<string> {
    while (this.ended === "open") await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.received;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #end(how: "end" | "close" | "reset"): void {
    if (this.ended === "open") this.ended = how;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A promise that is resolved from outside. */
export function signal<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, resolve };
}

/** A response as read from raw text: the head's lines in lower case, and the body still framed. */
export function parts(text: string): { status: number; fields: Record<string, string>; body: string } {
  const end = text.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = text.slice(0, end).split("\r\n");
  const fields: Record<string, string> = {};
  for (const line of lines)
    fields[line.slice(0, line.indexOf(":")).toLowerCase()] = line.slice(line.indexOf(":") + 1).trim();
  return { status: Number(statusLine.split(" ")[1]), fields, body: text.slice(end + 4) };
}

/** Runs `body` on a started bench, then checks that every lease was released exactly once. */
export async function withBench(
  make: (options: GatewayOptions) => Forwarder,
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  const bench = await new Bench(make).start();
  try {
    await body(bench);
    await bench.released();
  } finally {
    await bench.close();
  }
  // After everything is closed, so that a second release has had every chance to happen.
  await new Promise((resolve) => setImmediate(resolve));
  expect(bench.releases).toEqual(bench.releases.map(() => 1));
}

/** Resolves once `value` has not changed for some turns: what was to stand still stands still. */
export async function settled(value: () => number): Promise<number> {
  let last = value();
  for (let same = 0; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}
