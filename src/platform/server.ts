import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { endpoints } from "../contract/endpoints.ts";
import { Health } from "../contract/schemas.ts";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import { type Gateway, opensTunnel } from "../gateway/gateway.ts";
import { badRequest, isAnswering, refuseUnreadable, sendRefusal, writeRefusal } from "../gateway/refusal.ts";
import { readRequest } from "../gateway/request-head.ts";
import type { Addresses } from "./addresses.ts";
import { ProblemError } from "./problem.ts";

/** What the one listener serves. */
export interface ServerParts {
  gateway: Gateway;
  /** API and console. */
  fetch(request: Request, bindings: { incoming: IncomingMessage }): Response | Promise<Response>;
  addresses(): Addresses;
}

/**
 * The platform's one listener: a request whose Host is an app's goes to the gateway, all else to API and console. For the
 * latter the Host has to be one of the platform's own names, so that a web page cannot reach it by rebinding DNS.
 */
export class PlatformServer {
  readonly #server: Server;
  readonly #parts: ServerParts;
  /** Connections on which a change of protocols was declined, with the request that asked for it. */
  readonly #declined = new WeakMap<Duplex, IncomingMessage>();
  /** Connections that a refusal closes. node:http may have read more requests of them; none of those is answered. */
  readonly #closing = new WeakSet<Duplex>();
  #listensOn: string | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    const api = getRequestListener((request, env) => parts.fetch(request, env as { incoming: IncomingMessage }), {
      overrideGlobalObjects: false,
    });
    const refuse = (req: IncomingMessage, res: ServerResponse, error: ProblemError) => {
      this.#closing.add(req.socket);
      sendProblem(res, error);
    };
    const handle = (req: IncomingMessage, res: ServerResponse, mayContinue = false) => {
      if (this.#closing.has(req.socket)) return;
      // node:http drops what it has read together with such a request, and takes whatever comes next for a request's
      // beginning: it could be the middle of a body. So the connection carries nothing more.
      const declined = this.#declined.get(req.socket);
      if (declined === req) res.shouldKeepAlive = false;
      else if (declined !== undefined) {
        const detail = "no request can follow a declined change of protocols on the same connection";
        return refuse(req, res, new ProblemError("BAD_REQUEST", detail));
      }
      const host = hostOf(req);
      if (host === undefined)
        return refuse(req, res, new ProblemError("NO_HOST", "the Host header is missing or malformed"));
      if (parts.addresses().subdomainOf(host) !== undefined) return parts.gateway.handle(req, res, host);
      if (!this.#isOwn(host)) {
        const hint = `the platform answers at ${parts.addresses().url}, apps at *.${parts.addresses().appsDomain}`;
        return refuse(req, res, new ProblemError("UNKNOWN_HOST", `${host} is not a host of this platform`, { hint }));
      }
      // A request that other readers end elsewhere would let what follows it pass them as its body.
      const facts = readRequest(req, host);
      if ("status" in facts) {
        this.#closing.add(req.socket);
        return sendRefusal(res, facts);
      }
      // An app says itself whether it takes the body; here it is wanted, or thrown away with the answer.
      if (mayContinue) res.writeContinue();
      void api(req, res);
    };
    this.#server = createServer(
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
      (req, res) => handle(req, res),
    );
    this.#server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => handle(req, res, true));
    this.#server.on("clientError", refuseUnreadable);
    this.#server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => undefined); // node:http no longer listens: a reset would end the platform
      const host = hostOf(req);
      // Answers leave in the order of their requests; with the connection in other hands, those before cannot any more.
      if (isAnswering(socket)) socket.destroy();
      else if (host !== undefined && parts.addresses().subdomainOf(host) !== undefined) {
        parts.gateway.upgrade(req, socket, head, host);
      } else writeRefusal(socket, badRequest("only apps change protocols"));
    });
  }

  /** Listens. `port` 0 asks the kernel for one; the port is returned. */
  async listen(host: string, port: number): Promise<number> {
    this.#listensOn = host.includes(":") ? `[${host}]` : host;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", reject);
        this.#server.listen(port, host, () => resolve());
      });
    } catch (error) {
      throw await listenError(error as NodeJS.ErrnoException, host, port);
    }
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no new connections, lets running requests end for `graceMs`, then breaks what is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }

  #isOwn(host: string): boolean {
    if (host === "localhost" || host === "127.0.0.1" || host === "[::1]") return true;
    return host === new URL(this.#parts.addresses().url).hostname || host === this.#listensOn;
  }
}

/** The Host header's name in lower case, without the port. */
function hostOf(req: IncomingMessage): string | undefined {
  const host = req.headers.host;
  const match = host === undefined ? null : /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(host);
  return match?.[1]?.toLowerCase();
}

function sendProblem(res: ServerResponse, error: ProblemError): void {
  const body = JSON.stringify(error.problem);
  res.writeHead(error.problem.status, {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  });
  res.end(body);
}

async function listenError(error: NodeJS.ErrnoException, host: string, port: number): Promise<AppctlError> {
  if (error.code === "EADDRINUSE") {
    const other = await platformOn(port);
    return new AppctlError({
      code: "PORT_TAKEN",
      exit: ExitCode.unavailable,
      message: other
        ? `port ${port} is taken by a platform of appctl ${other} of another user or with other state`
        : `port ${port} is taken by another program`,
      hint: other
        ? "use that platform with one of its keys (APPCTL_API_KEY), or choose another port with --port or APPCTL_PORT"
        : "choose another port for the platform with --port or APPCTL_PORT",
      next: [`APPCTL_PORT=${port + 1} appctl platform start`],
      cause: error,
    });
  }
  return new AppctlError({
    code: "CANNOT_LISTEN",
    exit: ExitCode.unavailable,
    message: `the platform cannot listen on ${host}:${port}: ${messageOf(error)}`,
    cause: error,
  });
}

/** Version of the appctl platform that answers on `port` of this machine; undefined for any other program. */
async function platformOn(port: number): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(2000);
    const answer = await fetch(`http://127.0.0.1:${port}${endpoints.health.path}`, { signal, redirect: "error" });
    return Health.parse(await answer.json()).version;
  } catch {
    return undefined; // it does not answer as a platform does
  }
}
