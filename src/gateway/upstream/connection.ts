/** One connection to a replica: writes requests, one at a time, and hands on what comes back. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { Lease } from "../../core/lease.ts";
import { ResponseParser, type ResponseSink } from "./response-parser.ts";

/** Where a replica listens. */
export type ReplicaAddress = Lease["address"];

/** Takes the response to one request. After `onEnd` or `onFailure` nothing more comes. */
export interface ResponseHandler extends ResponseSink {
  /** Everything that one read brought has been handed on, and the response goes on. */
  onPause(): void;
  /**
   * The response is over; `trailers` is flat. The connection no longer belongs to this exchange, unless it is a tunnel:
   * then the replica sends no more, and the tunnel's owner ends it with `destroy`.
   */
  onEnd(trailers: string[]): void;
  /** `write` returned false before, and the bytes have left since. */
  onDrain(): void;
  /**
   * The connection broke before the response was over. `untouched`: it had been idle and closed before a byte of the
   * response came, so the replica most likely never saw the request.
   */
  onFailure(error: Error, untouched: boolean): void;
}

/** What a request asks of its response. */
export interface RequestKind {
  toHead: boolean;
  toUpgrade: boolean;
  hasBody: boolean;
}

/** Told when a connection may carry another request, and when it is gone. */
export interface ConnectionOwner {
  idle(connection: UpstreamConnection, keepAliveSeconds: number | undefined): void;
  gone(connection: UpstreamConnection): void;
}

/**
 * Reads of every connection go into this one buffer: on POSIX systems libuv asks for it, reads and reports in one go, and
 * nothing keeps a piece of it. On Windows a read is under way before there is data, so each connection needs its own.
 */
const sharedBuffer = process.platform === "win32" ? undefined : Buffer.allocUnsafeSlow(64 * 1024);

/** A connection; see {@link ResponseHandler} for what it tells. */
export class UpstreamConnection {
  /** When it became idle, and for how long it may be: milliseconds of a monotonic clock. Kept for the pool. */
  idleSince = 0;
  idleLimit = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser = new ResponseParser();
  #handler: ResponseHandler | undefined;
  #used = false;
  #touched = false;
  #requestDone = true;
  #gone = false;

  constructor(address: ReplicaAddress, owner: ConnectionOwner) {
    this.#owner = owner;
    const buffer = sharedBuffer ?? Buffer.allocUnsafeSlow(64 * 1024);
    this.#socket = connect({
      ...("socketPath" in address ? { path: address.socketPath } : address),
      noDelay: true,
      // A replica that closes its side may still take the rest of a tunnel; everything else is ended below.
      allowHalfOpen: true,
      onread: {
        buffer,
        callback: (length) => {
          this.#onRead(buffer, length);
          return true; // pausing goes through pause()
        },
      },
    });
    this.#socket.on("end", () => this.#onReadEnd());
    this.#socket.on("drain", () => this.#handler?.onDrain());
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  /** True once it is of no use any more. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Sends a request's head, latin1 text with its empty line. A body follows through `write` and {@link endRequest}. */
  send(head: string, kind: RequestKind, handler: ResponseHandler): void {
    this.#handler = handler;
    this.#touched = false;
    this.#requestDone = !kind.hasBody;
    this.#parser.expect(kind);
    if (kind.hasBody) {
      // The first body bytes are often already there: let them leave in the same packet as the head.
      this.#socket.cork();
      process.nextTick(uncork, this.#socket);
    }
    this.#socket.write(head, "latin1");
  }

  /** Writes body bytes as they are. False: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  /** Writes body bytes as one chunk of the chunked coding. False: wait for `onDrain`. */
  writeChunk(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true; // an empty chunk would end the body
    this.#socket.cork();
    this.#socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
    this.#socket.write(bytes);
    const more = this.#socket.write("\r\n", "latin1");
    this.#socket.uncork();
    return more;
  }

  /** The request body is complete. `last`: what the chunked coding ends with. */
  endRequest(last?: string): void {
    this.#requestDone = true;
    if (last !== undefined) this.#socket.write(last, "latin1");
  }

  /** Closes the writing side of a tunnel. */
  end(): void {
    this.#socket.end();
  }

  /** Reads no more until {@link resume}; the replica feels it once the kernel's buffers are full. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Drops the connection at once, without a call of the handler. */
  destroy(): void {
    this.#handler = undefined;
    this.#parser.stop();
    this.#leave();
  }

  /** Breaks the exchange that is under way, if there is one: its handler gets `onFailure`. */
  abort(error: Error): void {
    this.#touched = true; // this is no stale connection: nothing is to be tried again
    this.#fail(error);
  }

  #onRead(buffer: Buffer, length: number): void {
    const handler = this.#handler;
    if (handler === undefined) {
      this.#leave(); // bytes that nobody asked for: whose answer they are cannot be known
      return;
    }
    this.#touched = true;
    let consumed: number;
    try {
      consumed = this.#parser.execute(buffer, length, handler);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.#handler !== handler) return; // the handler has dropped the connection meanwhile
    if (this.#parser.complete) this.#finish(handler, consumed === length);
    else handler.onPause();
  }

  #onReadEnd(): void {
    const handler = this.#handler;
    if (handler !== undefined && this.#parser.tunnel)
      handler.onEnd([]); // the other direction may go on
    else if (handler !== undefined && this.#parser.finish()) this.#finish(handler, false);
    else this.#fail(new Error("the connection was closed"));
  }

  #finish(handler: ResponseHandler, clean: boolean): void {
    this.#handler = undefined;
    const { trailers } = this.#parser;
    if (clean && this.#requestDone && this.#parser.reusable) {
      this.#used = true;
      // It may have been paused for a slow client; an idle connection must be read, to see that it is closed.
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#owner.idle(this, this.#parser.head?.keepAliveSeconds);
    } else this.#leave();
    handler.onEnd(trailers);
  }

  #fail(error: Error): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#parser.stop();
    this.#leave();
    handler?.onFailure(error, this.#used && !this.#touched);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#owner.gone(this);
  }
}

function uncork(socket: Socket): void {
  socket.uncork();
}
