/** The HTTP server of a replica: lets only the gateway in and ends gracefully. */
import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { ListenOptions } from "node:net";
import { REPLICA_TOKEN_HEADER } from "../contract/headers.ts";
import type { ServableHandler } from "./handler.ts";

/** A replica's server. */
export interface ReplicaServer {
  listen(where: ListenOptions): Promise<void>;
  /** Takes no more connections, waits for the requests under way, lets the framework close. */
  stop(): Promise<void>;
}

/** Longer than the gateway keeps idle connections, so that it never sends a request on one that is closing. */
const KEEP_ALIVE_MS = 75_000;
/** The gateway is the one that limits heads; what it lets through is not refused here. */
const LARGEST_HEAD = 64 * 1024;
/** How long a framework may take to close what it holds. */
const CLOSE_MS = 5_000;

/** Makes the server. With a `token`, requests that do not carry it get 403 and the app never sees them. */
export function createReplicaServer(handler: ServableHandler, token: string | undefined): ReplicaServer {
  const isAllowed = token === undefined ? () => true : tokenCheck(token);
  const active = new Set<ServerResponse>();
  let stopping = false;
  let idle = () => {};

  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0, maxHeaderSize: LARGEST_HEAD },
    (req, res) => {
      active.add(res);
      res.once("close", () => {
        active.delete(res);
        if (stopping && active.size === 0) idle();
      });
      if (stopping) res.shouldKeepAlive = false;
      if (isAllowed(req)) {
        handler.request(req, res);
        return;
      }
      res.writeHead(403, { connection: "close", "content-length": 0 }).end();
    },
  );
  if (handler.upgrade) {
    server.on("upgrade", (req, socket, head) => {
      if (isAllowed(req)) handler.upgrade?.(req, socket, head);
      else socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    });
  }

  return {
    async listen(where) {
      server.listen(where);
      await once(server, "listening");
    },
    async stop() {
      if (stopping) return;
      stopping = true;
      server.close();
      for (const res of active) {
        if (!res.headersSent) res.shouldKeepAlive = false;
      }
      if (active.size > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([handler.close?.(), late]);
    },
  };
}

/** Compares the token of a request in constant time and takes it out of the request. */
function tokenCheck(token: string): (req: IncomingMessage) => boolean {
  const wanted = Buffer.from(token);
  return (req) => {
    // Node makes both objects from rawHeaders when they are first asked for, and counts on its length: so ask first.
    const { headers, headersDistinct, rawHeaders } = req;
    let given = "";
    for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
      if (rawHeaders[at]?.toLowerCase() !== REPLICA_TOKEN_HEADER) continue;
      given = rawHeaders[at + 1] ?? "";
      rawHeaders.splice(at, 2);
    }
    delete headers[REPLICA_TOKEN_HEADER];
    delete headersDistinct[REPLICA_TOKEN_HEADER];
    const bytes = Buffer.from(given);
    return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
  };
}
