/** From any kind of `frameworkApp` to what `node:http` calls. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { frameworkHint, frameworkKind } from "../sdk/framework.ts";
import type { FrameworkApp } from "../sdk/framework-app.ts";

/** Something that answers HTTP. */
export interface ServableHandler {
  kind: "fetch" | "node" | "fastify";
  request(req: IncomingMessage, res: ServerResponse): unknown;
  /** Takes over a connection (WebSocket); undefined when the app has nothing that could. */
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Lets the framework end what it holds. */
  close?(): Promise<unknown>;
}

/** What became of a `frameworkApp`. */
export type Handler = ServableHandler | { kind: "unknown"; hint: string | undefined };

interface FastifyLike {
  ready(): PromiseLike<unknown>;
  routing(req: IncomingMessage, res: ServerResponse): void;
  close(): PromiseLike<unknown>;
  server: { listenerCount(event: string): number; emit(event: string, ...args: unknown[]): boolean };
}

/** Makes the handler. Rejects with the app's own error when the framework cannot be made ready. */
export async function handlerOf(app: FrameworkApp | undefined): Promise<Handler> {
  const kind = frameworkKind(app);
  if (kind === "unknown" || app === undefined) return { kind: "unknown", hint: frameworkHint(app) };
  if (kind === "fastify") return fastifyHandler(app as FastifyLike);
  if (kind === "node") return { kind, request: app as ServableHandler["request"] };
  const { fetch } = app as { fetch(request: Request, env: unknown): Response | Promise<Response> };
  return {
    kind,
    request: getRequestListener((request, env) => fetch.call(app, request, env), { hostname: "localhost" }),
  };
}

async function fastifyHandler(app: FastifyLike): Promise<ServableHandler> {
  await app.ready();
  const { server } = app;
  return {
    kind: "fastify",
    request: (req, res) => app.routing(req, res),
    // Plugins for WebSockets listen on the instance's own server, which is never opened.
    ...(server.listenerCount("upgrade") > 0
      ? { upgrade: (req, socket, head) => void server.emit("upgrade", req, socket, head) }
      : {}),
    close: async () => app.close(),
  };
}
