/** A request to change protocols (WebSocket and others): after the replica's 101 both connections are spliced. */
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { REVISION_HEADER } from "../contract/headers.ts";
import type { Lease } from "../core/lease.ts";
import { reasonOf } from "./exchange.ts";
import { endToEndTrailers } from "./fields.ts";
import { badGateway, gatewayTimeout, type Refusal, writeRefusal } from "./refusal.ts";
import type { Route } from "./route.ts";
import type { ResponseHandler, UpstreamConnection } from "./upstream/connection.ts";
import type { UpstreamPool } from "./upstream/pool.ts";
import { Framing, type ResponseHead } from "./upstream/response-head.ts";

/** What a tunnel works with. */
export interface TunnelParts {
  /** The client's connection, which no longer belongs to node:http. */
  socket: Duplex;
  /** What the client sent after its request's head. */
  early: Buffer;
  route: Route;
  lease: Lease;
  /** What the client asks for; undefined: the replica is asked for an ordinary answer instead. */
  protocol: string | undefined;
  /** The request's method is HEAD. */
  toHead: boolean;
  /** Head for the replica. */
  head: string;
  pool: UpstreamPool;
  /** Called once, when the tunnel is over. */
  closed(): void;
}

/** A tunnel that is open or being opened. */
export interface Tunnel {
  /** Drops both connections. */
  close(): void;
}

/** How much a client may send before the replica has agreed, in bytes; then its connection is no longer read. */
const MAX_EARLY_BYTES = 64 * 1024;
/** Peers of a silent tunnel are asked for a sign of life after this time, in milliseconds. */
const KEEP_ALIVE_MS = 60_000;

const State = { waiting: 0, tunnel: 1, answer: 2, over: 3 } as const;
type State = (typeof State)[keyof typeof State];

class UpgradeExchange implements ResponseHandler, Tunnel {
  readonly #parts: TunnelParts;
  readonly #connection: UpstreamConnection;
  readonly #timer: NodeJS.Timeout;
  #state: State = State.waiting;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #clientEnded = false;
  #replicaEnded = false;
  #rechunk = false;

  constructor(parts: TunnelParts) {
    this.#parts = parts;
    const { socket, route, pool, lease, protocol, toHead } = parts;
    if (parts.early.length > 0) this.#keep(parts.early);
    if (socket instanceof Socket) {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
    }
    socket.on("data", (bytes: Buffer) => this.#onClientData(bytes));
    socket.on("end", () => this.#onClientEnd());
    socket.on("drain", () => this.#connection.resume());
    socket.on("close", () => this.#onClientClose());
    this.#timer = setTimeout(
      () => this.#refuse(gatewayTimeout(route.app, route.requestTimeoutMs)),
      route.requestTimeoutMs,
    );
    // Never a pooled connection: it will not come back, and a dead one looks like a refusal.
    this.#connection = pool.take(lease.address, true);
    this.#connection.send(parts.head, { toHead, toUpgrade: protocol !== undefined, hasBody: false }, this);
  }

  close(): void {
    this.#parts.socket.destroy();
    this.#finish();
  }

  onInformation(): void {
    // Interim responses before a 101 mean nothing to the client.
  }

  onHead(head: ResponseHead): void {
    clearTimeout(this.#timer);
    const { socket, lease } = this.#parts;
    let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
    for (let i = 0; i < head.fields.length; i += 2) text += `${head.fields[i]}: ${head.fields[i + 1]}\r\n`;
    text += `${REVISION_HEADER}: ${lease.revision}\r\n`;
    if (head.status === 101) {
      this.#state = State.tunnel;
      socket.write(`${text}connection: upgrade\r\nupgrade: ${head.upgrade}\r\n\r\n`, "latin1");
      for (const bytes of this.#early) this.#connection.write(bytes);
      if (this.#earlyBytes >= MAX_EARLY_BYTES) socket.resume();
    } else {
      this.#state = State.answer;
      this.#rechunk = head.framing === Framing.chunked || head.framing === Framing.untilClose;
      if (this.#rechunk) text += "transfer-encoding: chunked\r\n";
      socket.write(`${text}connection: close\r\n\r\n`, "latin1");
      socket.resume(); // to see the client leave; what it sends means nothing now
    }
    this.#early = [];
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    const { socket } = this.#parts;
    const bytes = Buffer.allocUnsafe(end - start);
    buffer.copy(bytes, 0, start, end);
    let more: boolean;
    if (this.#rechunk) {
      socket.cork();
      socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
      socket.write(bytes);
      more = socket.write("\r\n", "latin1");
      socket.uncork();
    } else more = socket.write(bytes);
    if (!more) this.#connection.pause();
  }

  onPause(): void {
    // Everything has been written already.
  }

  onEnd(trailers: string[]): void {
    const { socket } = this.#parts;
    if (this.#state === State.tunnel) {
      // The replica sends no more; the client still may. The connection's own end comes as a failure below.
      this.#replicaEnded = true;
      socket.end();
      return;
    }
    if (this.#rechunk) {
      const kept = endToEndTrailers(trailers);
      let last = "0\r\n";
      for (let i = 0; i < kept.length; i += 2) last += `${kept[i]}: ${kept[i + 1]}\r\n`;
      socket.end(`${last}\r\n`, "latin1");
    } else socket.end();
    this.#finish();
  }

  onDrain(): void {
    this.#parts.socket.resume();
  }

  onFailure(error: Error): void {
    const { socket, route } = this.#parts;
    if (this.#state === State.waiting) this.#refuse(badGateway(route.app, reasonOf(error)));
    else {
      // After both sides have ended gracefully this is only the connection's last event.
      if (!(this.#replicaEnded && this.#clientEnded)) socket.destroy();
      this.#finish();
    }
  }

  #onClientData(bytes: Buffer): void {
    if (this.#state === State.waiting) this.#keep(bytes);
    else if (this.#state === State.tunnel && !this.#connection.write(bytes)) this.#parts.socket.pause();
  }

  #keep(bytes: Buffer): void {
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes >= MAX_EARLY_BYTES) this.#parts.socket.pause();
  }

  #onClientEnd(): void {
    this.#clientEnded = true;
    if (this.#state === State.tunnel) this.#connection.end();
    else if (this.#state === State.waiting) this.close();
  }

  #onClientClose(): void {
    // When both sides ended gracefully, the replica still gets what is on its way to it.
    if (!(this.#state === State.tunnel && this.#clientEnded && this.#replicaEnded)) this.#finish();
  }

  #refuse(refusal: Refusal): void {
    if (this.#state === State.over) return;
    this.#finish();
    writeRefusal(this.#parts.socket, refusal);
  }

  #finish(): void {
    if (this.#state === State.over) return;
    this.#state = State.over;
    clearTimeout(this.#timer);
    this.#early = [];
    this.#connection.destroy();
    this.#parts.lease.release();
    this.#parts.closed();
  }
}

/** Opens a tunnel. It releases the lease exactly once, when it is over. */
export function openTunnel(parts: TunnelParts): Tunnel {
  return new UpgradeExchange(parts);
}
