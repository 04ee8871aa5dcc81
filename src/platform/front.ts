/** How requests reach the platform: by its own listener, or by gateways in processes of their own. */
import { randomBytes } from "node:crypto";
import { rmdir } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { makeFolder } from "../core/make-folder.ts";
import { builtFile } from "../core/package-files.ts";
import type { Engine } from "../engine/engine.ts";
import { Gateway } from "../gateway/gateway.ts";
import type { FromGateway } from "../gateway/route-table.ts";
import type { RemoteHost } from "../supervisor/remote-host.ts";
import type { Addresses } from "./addresses.ts";
import type { ProofOfLive } from "./apps/proof-of-live.ts";
import { routeTable } from "./apps/routes.ts";
import { GatewayLink } from "./gateway-link.ts";
import type { KeyStore } from "./keys/key-store.ts";
import { BackendServer, listenError, PlatformServer } from "./server.ts";
import type { AppStore } from "./store/app-store.ts";

/** How long requests of a gateway that another one has replaced may take, in milliseconds. */
const RETIRE_MS = 10 * 60_000;

/** What both kinds need of the platform. */
export interface FrontParts {
  store: AppStore;
  engine: Engine;
  keys: KeyStore;
  proof: ProofOfLive;
  /** API and console. */
  fetch(request: Request, bindings: { incoming: IncomingMessage }): Response | Promise<Response>;
  addresses(): Addresses;
}

/** Where a platform listens and how it is reached. */
export interface FrontOptions {
  host: string;
  port: number;
  url: string | undefined;
  appsDomain: string | undefined;
}

/** The public side of a platform. */
export interface Front {
  /** Opens the public port and returns it. Throws PORT_TAKEN and CANNOT_LISTEN. */
  listen(): Promise<number>;
  /** Lets requests through to apps, which are in their wanted state by now. */
  open(): Promise<void>;
  /** Makes a token with which one request to `host` passes without a key. */
  allowProbe(host: string): Promise<string>;
  /** Answers no more requests, and leaves the public port to the next platform. */
  handOver(graceMs: number): Promise<void>;
  /** Takes no more requests, and breaks off those that last longer than `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** The platform's own listener, with the gateway in this process. */
export class OwnFront implements Front {
  readonly #gateway: Gateway;
  readonly #server: PlatformServer;
  readonly #options: FrontOptions;

  constructor(parts: FrontParts, options: FrontOptions) {
    const { store, engine, keys, proof, fetch, addresses } = parts;
    this.#options = options;
    this.#gateway = new Gateway({
      route: routeTable({ store, engine, addresses }),
      authorize: (authorization) =>
        keys.verify(authorization)
          ? { ok: true }
          : {
              ok: false,
              status: 401,
              code: "UNAUTHENTICATED",
              detail: "this app requires an API key of the platform: Authorization: Bearer <key>",
            },
      redeemProbe: (token, host) => proof.redeem(token, host),
      publicProto: () => protoOf(options),
    });
    this.#server = new PlatformServer({ gateway: this.#gateway, fetch, addresses });
  }

  listen(): Promise<number> {
    return this.#server.listen(this.#options.host, this.#options.port);
  }

  async open(): Promise<void> {
    // The listener asks the store and the engine for each request.
  }

  async allowProbe(): Promise<string> {
    throw new Error("the gateway of this process redeems tokens of the proof itself");
  }

  async handOver(): Promise<void> {
    throw new Error("a platform without a supervisor has nobody to hand over to");
  }

  async close(graceMs: number): Promise<void> {
    const impatient = setTimeout(() => this.#gateway.close(), graceMs);
    await this.#server.close(graceMs);
    clearTimeout(impatient);
    this.#gateway.close();
  }
}

/** Gateways that the supervisor runs; the platform answers them on a unix socket. */
export class GatewayFront implements Front {
  readonly #options: FrontOptions;
  readonly #host: RemoteHost;
  readonly #runtimeDir: string;
  readonly #workers: number;
  readonly #backend: BackendServer;
  readonly #link: () => GatewayLink;
  readonly #opened = Promise.withResolvers<void>();

  constructor(
    parts: FrontParts,
    options: FrontOptions,
    above: { host: RemoteHost; runtimeDir: string; workers: number },
  ) {
    this.#options = options;
    this.#host = above.host;
    this.#runtimeDir = above.runtimeDir;
    this.#workers = above.workers;
    const socketPath = join(above.runtimeDir, "api");
    const token = randomBytes(32).toString("hex");
    let link: GatewayLink | undefined;
    this.#link = () => {
      link ??= new GatewayLink(
        {
          store: parts.store,
          engine: parts.engine,
          keys: parts.keys,
          workers: above.workers,
          config: {
            type: "config",
            suffix: `.${parts.addresses().appsDomain}`,
            publicProto: protoOf(options),
            platform: { socketPath, token },
          },
        },
        { send: (message, worker) => this.#host.sendToGateway(message, worker) },
      );
      return link;
    };
    const fetch: FrontParts["fetch"] = async (request, bindings) => {
      const response = await parts.fetch(request, bindings);
      // Who has made a key, or taken one away, finds that at once, at every gateway.
      if (request.method !== "GET" && request.method !== "HEAD") await link?.synced();
      return response;
    };
    this.#backend = new BackendServer({ fetch, addresses: parts.addresses }, { socketPath, token, host: options.host });
  }

  async listen(): Promise<number> {
    const { host, port } = this.#options;
    try {
      const gateway = { program: builtFile("gateway.js"), workers: this.#workers };
      return await this.#host.listen({ host, port, gateway });
    } catch (error) {
      throw await listenError(error as NodeJS.ErrnoException, host, port);
    }
  }

  async open(): Promise<void> {
    const link = this.#link();
    this.#host.hearGateways({
      received: (worker, body) => link.received(worker, body as FromGateway),
      gone: (worker) => link.gone(worker),
    });
    link.open();
    await link.synced();
    // Only now: with an earlier platform's token gateways would be refused, and not know why.
    makeFolder(this.#runtimeDir, "TMPDIR");
    await this.#backend.listen();
    this.#opened.resolve();
    // Those of an earlier version have nothing to do any more: the others listen as well.
    for (const worker of this.#host.gatewaysBesides(builtFile("gateway.js"))) {
      this.#host.sendToGateway({ type: "retire", graceMs: RETIRE_MS }, worker);
    }
  }

  handOver(graceMs: number): Promise<void> {
    return this.#backend.close(graceMs);
  }

  async allowProbe(host: string): Promise<string> {
    await this.#opened.promise;
    return this.#link().allowProbe(host);
  }

  async close(graceMs: number): Promise<void> {
    this.#link().drain(graceMs);
    await this.#backend.close(graceMs);
    // The runtime tries as well; whichever is later finds the folder empty.
    await rmdir(this.#runtimeDir).catch(() => undefined);
  }
}

function protoOf({ url }: FrontOptions): "http" | "https" {
  return url?.startsWith("https:") ? "https" : "http";
}
