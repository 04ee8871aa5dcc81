/**
 * The oracle: a gateway on undici's `dispatch`, written for correctness only. The probes run on it and on ours, and must
 * see the same. It shares no code with ours but the types.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, PassThrough } from "node:stream";
import { type Dispatcher, Pool } from "undici";
import type { Lease } from "../../src/core/lease.ts";
import type { GatewayOptions } from "../../src/gateway/gateway.ts";
import type { Route } from "../../src/gateway/route.ts";
import type { Forwarder } from "./harness.ts";

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "http2-settings",
]);

export class UndiciGateway implements Forwarder {
  readonly #options: GatewayOptions;
  readonly #pools = new Map<string, Pool>();

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  handle(req: IncomingMessage, res: ServerResponse, host: string): void {
    const admitted = this.#admit(req, host);
    if ("status" in admitted) {
      answer(res, admitted);
      return;
    }
    const { route, lease } = admitted;
    let over = false;
    let controller: Dispatcher.DispatchController | undefined;
    const finish = () => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      lease.release();
    };
    const timer = setTimeout(() => {
      finish();
      answer(res, { status: 504, code: "GATEWAY_TIMEOUT" });
      controller?.abort(new Error("time-out"));
    }, route.requestTimeoutMs);
    res.on("close", () => {
      if (over) return;
      finish();
      controller?.abort(new Error("the client left"));
    });
    const framed = req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
    this.#pool(lease).dispatch(
      {
        path: req.url ?? "/",
        method: req.method as Dispatcher.HttpMethod,
        headers: this.#requestFields(req, lease, route),
        body: framed ? req.pipe(new PassThrough()) : null,
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart: (started) => {
          controller = started;
          if (over) started.abort(new Error("over"));
        },
        onResponseStart: (started, status, _headers, message) => {
          if (status < 200 || over) return;
          clearTimeout(timer);
          res.writeHead(status, message ?? "", responseFields(started.rawHeaders, lease, status));
          // Not flushHeaders: it sends the head in UTF-8.
          res.write("", "latin1");
        },
        onResponseData: (started, chunk) => {
          if (res.write(chunk) === false) {
            started.pause();
            res.once("drain", () => started.resume());
          }
        },
        onResponseEnd: (_controller, trailers) => {
          res.addTrailers(trailers);
          res.end();
          finish();
        },
        onResponseError: () => {
          if (over) return;
          finish();
          if (res.headersSent) res.destroy();
          else answer(res, { status: 502, code: "BAD_GATEWAY" });
        },
      },
    );
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, host: string): void {
    socket.on("error", () => undefined); // its "close" follows
    const admitted = this.#admit(req, host);
    if ("status" in admitted) {
      socket.end(
        `HTTP/1.1 ${admitted.status} Refused\r\nappctl-gateway: ${admitted.code}\r\ncontent-length: 0\r\n\r\n`,
      );
      return;
    }
    const { route, lease } = admitted;
    let over = false;
    const finish = () => {
      if (over) return;
      over = true;
      lease.release();
    };
    this.#pool(lease).dispatch(
      {
        path: req.url ?? "/",
        method: req.method as Dispatcher.HttpMethod,
        headers: this.#requestFields(req, lease, route),
        upgrade: req.headers.upgrade ?? null,
      },
      {
        onRequestStart: () => undefined,
        onRequestUpgrade: (_controller, _status, headers, replica) => {
          let text = "HTTP/1.1 101 Switching Protocols\r\n";
          for (const [name, value] of Object.entries(headers)) {
            if (!HOP_BY_HOP.has(name)) text += `${name}: ${value}\r\n`;
          }
          socket.write(
            `${text}appctl-revision: ${lease.revision}\r\nconnection: upgrade\r\nupgrade: ${req.headers.upgrade}\r\n\r\n`,
          );
          if (head.length > 0) replica.write(head);
          replica.on("error", () => socket.destroy());
          replica.on("close", finish);
          socket.on("close", () => replica.destroy());
          replica.pipe(socket);
          socket.pipe(replica);
        },
        onResponseError: () => {
          finish();
          socket.end("HTTP/1.1 502 Bad Gateway\r\nappctl-gateway: BAD_GATEWAY\r\ncontent-length: 0\r\n\r\n");
        },
      },
    );
  }

  close(): void {
    for (const pool of this.#pools.values()) {
      // Pending exchanges get their error; there is nobody to tell about the rest.
      pool.destroy().catch(() => undefined);
    }
  }

  #admit(req: IncomingMessage, host: string): { route: Route; lease: Lease } | { status: number; code: string } {
    const route = this.#options.route(host);
    if (route === undefined) return { status: 404, code: "NO_SUCH_APP" };
    if (req.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length > 1) {
      return { status: 400, code: "BAD_REQUEST" };
    }
    const coding = req.headers["transfer-encoding"];
    if (coding !== undefined && req.httpVersion === "1.0") return { status: 400, code: "BAD_REQUEST" };
    if (coding !== undefined && coding !== "chunked") return { status: 501, code: "TRANSFER_CODING_UNSUPPORTED" };
    if (route.requiresAuth) {
      const verdict = this.#options.authorize(req.headers.authorization);
      if (!verdict.ok) return verdict;
    }
    if (route.stopped) return { status: 503, code: "APP_STOPPED" };
    const lease = route.lease();
    return lease === null ? { status: 503, code: "NO_REPLICA" } : { route, lease };
  }

  #requestFields(req: IncomingMessage, lease: Lease, route: Route): string[] {
    const dropped = nominated(req.headers.connection);
    const fields: string[] = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2) {
      const name = req.rawHeaders[i] as string;
      const lower = name.toLowerCase();
      if (
        HOP_BY_HOP.has(lower) ||
        dropped.has(lower) ||
        /^(?:forwarded$|x-forwarded-|appctl-|x-request-id$)/.test(lower)
      ) {
        continue;
      }
      if (lower === "authorization" && route.requiresAuth) continue;
      fields.push(name, req.rawHeaders[i + 1] as string);
    }
    const host = req.headers.host ?? "";
    fields.push("x-forwarded-for", (req.socket.remoteAddress ?? "").replace("::ffff:", ""));
    fields.push("x-forwarded-proto", this.#options.publicProto(), "x-forwarded-host", host);
    const id = req.headers["x-request-id"];
    fields.push("x-request-id", typeof id === "string" ? id : randomUUID());
    if (lease.token !== undefined) fields.push("appctl-replica-token", lease.token);
    return fields;
  }

  #pool(lease: Lease): Pool {
    const { address } = lease;
    const key = "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool =
        "socketPath" in address
          ? new Pool("http://replica", { socketPath: address.socketPath, pipelining: 1 })
          : new Pool(`http://${key}`, { pipelining: 1 });
      this.#pools.set(key, pool);
    }
    return pool;
  }
}

function nominated(connection: string | undefined): Set<string> {
  return new Set((connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
}

function responseFields(raw: Dispatcher.DispatchController["rawHeaders"], lease: Lease, status: number): string[] {
  const all = (Array.isArray(raw) ? raw : []).map((part) => (Buffer.isBuffer(part) ? part.toString("latin1") : part));
  const connection = all.find((_, i) => i % 2 === 1 && all[i - 1]?.toLowerCase() === "connection");
  const dropped = nominated(connection);
  const fields: string[] = [];
  for (let i = 0; i + 1 < all.length; i += 2) {
    const lower = (all[i] as string).toLowerCase();
    if (HOP_BY_HOP.has(lower) || dropped.has(lower) || lower.startsWith("appctl-")) continue;
    if (lower === "content-length" && status === 204) continue;
    fields.push(all[i] as string, all[i + 1] as string);
  }
  fields.push("appctl-revision", lease.revision);
  return fields;
}

function answer(res: ServerResponse, refusal: { status: number; code: string }): void {
  res.writeHead(refusal.status, ["appctl-gateway", refusal.code, "content-length", "0"]);
  res.end();
}
