import { timingSafeEqual } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { endpoints } from "../contract/endpoints.ts";
import { REPLICA_TOKEN_HEADER } from "../contract/headers.ts";
import { Health } from "../contract/schemas.ts";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { hostOfField, Listener } from "../gateway/listener.ts";
import { noHost, type Refusal, sendRefusal } from "../gateway/refusal.ts";
import { readRequest } from "../gateway/request-head.ts";
import type { Addresses } from "./addresses.ts";

/** What a request of the API or the console needs. */
export interface ApiParts {
  /** API and console. */
  fetch(request: Request, bindings: { incoming: IncomingMessage }): Response | Promise<Response>;
  addresses(): Addresses;
  /** Other names by which the platform is reached: the address that it listens on. */
  isOwnName(host: string): boolean;
}

/**
 * Answers requests of API and console. Their Host has to be one of the platform's own names, so that a web page cannot reach it
 * by rebinding DNS.
 */
class ApiEntry {
  readonly #parts: ApiParts;
  readonly #listener: (req: IncomingMessage, res: ServerResponse) => unknown;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.#listener = getRequestListener((request, env) => parts.fetch(request, env as { incoming: IncomingMessage }), {
      overrideGlobalObjects: false,
    });
  }

  handle(req: IncomingMessage, res: ServerResponse, host: string, mayContinue: boolean): Refusal | undefined {
    const { url, appsDomain } = this.#parts.addresses();
    const isOwn = host === "localhost" || host === "127.0.0.1" || host === "[::1]" || host === new URL(url).hostname;
    if (!isOwn && !this.#parts.isOwnName(host)) {
      return {
        status: 421,
        code: "UNKNOWN_HOST",
        detail: `${host} is not a host of this platform`,
        hint: `the platform answers at ${url}, apps at *.${appsDomain}`,
      };
    }
    // An app says itself whether it takes the body; here it is wanted, or thrown away with the answer.
    if (mayContinue) res.writeContinue();
    void this.#listener(req, res);
    return undefined;
  }
}

/** What the one listener of a platform without a supervisor serves. */
export interface ServerParts extends Omit<ApiParts, "isOwnName"> {
  gateway: Gateway;
}

/** The one listener of a platform without a supervisor: an app's requests go to the gateway, all else to API and console. */
export class PlatformServer {
  readonly #listener: Listener;
  #listensOn: string | undefined;

  constructor(parts: ServerParts) {
    const api = new ApiEntry({ ...parts, isOwnName: (host) => host === this.#listensOn });
    this.#listener = new Listener({
      gateway: parts.gateway,
      isApp: (host) => parts.addresses().subdomainOf(host) !== undefined,
      other: (req, res, host, mayContinue) => {
        const facts = readRequest(req, host);
        return "status" in facts ? facts : api.handle(req, res, host, mayContinue);
      },
    });
  }

  /** Listens. `port` 0 asks the kernel for one; the port is returned. */
  async listen(host: string, port: number): Promise<number> {
    this.#listensOn = hostName(host);
    const { server } = this.#listener;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => resolve());
      });
    } catch (error) {
      throw await listenError(error as NodeJS.ErrnoException, host, port);
    }
    return (server.address() as AddressInfo).port;
  }

  /** Takes no new connections, lets running requests end for `graceMs`, then breaks what is left. */
  close(graceMs: number): Promise<void> {
    return this.#listener.close(graceMs);
  }
}

/** The server behind a gateway of another process: API and console, on a unix socket. */
export class BackendServer {
  readonly #server: Server;
  readonly #socketPath: string;

  /** `token` is what the gateway shows; `host` is where that one listens. */
  constructor(
    parts: Omit<ApiParts, "isOwnName">,
    { socketPath, token, host }: { socketPath: string; token: string; host: string },
  ) {
    this.#socketPath = socketPath;
    const api = new ApiEntry({ ...parts, isOwnName: (name) => name === hostName(host) });
    const expected = Buffer.from(token);
    const handle = (req: IncomingMessage, res: ServerResponse, mayContinue: boolean) => {
      const shown = Buffer.from(String(req.headers[REPLICA_TOKEN_HEADER] ?? ""));
      if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) {
        res.writeHead(403, { connection: "close", "content-length": 0 }).end();
        return;
      }
      const name = hostOfField(req.headers.host);
      const refusal = name === undefined ? noHost() : api.handle(req, res, name, mayContinue);
      if (refusal) sendRefusal(res, refusal);
    };
    this.#server = createServer(
      { requestTimeout: 0, headersTimeout: 30_000, maxHeaderSize: 64 * 1024, keepAliveTimeout: 75_000, noDelay: true },
      (req, res) => handle(req, res, false),
    );
    this.#server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => handle(req, res, true));
  }

  /** Listens; a socket that a killed platform left is taken over. */
  async listen(): Promise<void> {
    rmSync(this.#socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#socketPath, () => resolve());
    });
    chmodSync(this.#socketPath, 0o600);
  }

  /** As {@link PlatformServer.close}. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(timer);
  }
}

const hostName = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** The error for an address that cannot be listened on: whose it is, and what to type. */
export async function listenError(error: NodeJS.ErrnoException, host: string, port: number): Promise<AppctlError> {
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
