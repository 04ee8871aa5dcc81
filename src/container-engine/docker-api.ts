/**
 * The Docker Engine API (docs.docker.com/engine/api), which Podman's service speaks, too: HTTP over a unix socket, which is
 * undici's to carry. The libraries of this API bring SSH, with an addon to compile, and gRPC along for the same few calls.
 */
import { Readable } from "node:stream";
import type { Agent, Dispatcher } from "undici";
import { BROKE_OFF, isNotHttp } from "../http/connection-error.ts";

/** The engine answered with an error. */
export class EngineApiError extends Error {
  /** HTTP status; 404: no such thing, 409: not in this state. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "EngineApiError";
    this.status = status;
  }
}

/** Whether nobody answers at the socket, or the connection broke; not what the engine or this machine's disk says. */
export function isConnectionLost(error: unknown): boolean {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  return syscall === "connect" || BROKE_OFF.has(code) || isNotHttp(error);
}

/** How long an engine may take to say who it is: one that its socket starts first takes a moment. */
const ANSWER_TIMEOUT_MS = 10_000;

/** How long an answer is waited for, in milliseconds; `signal` ends it before. */
export interface AnswerOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What a call carries. `query` values are sent as they are; objects in it as JSON, as filters are. */
export interface CallOptions {
  query?: Record<string, string | number | object>;
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** An answer's bytes, as they come. */
export type EngineAnswer = Dispatcher.ResponseData["body"];

/** The newest version of the API that this client was written for. An older engine is spoken to in its own. */
const NEWEST = [1, 47] as const;

/** The version of Podman's own API, below `/libpod`, that this client was written for. */
const LIBPOD = "/v4.0.0";
/** The first Podman with all of it that is used here. */
const FIRST_LIBPOD = [4, 2] as const;

/** One engine. */
export class EngineApi {
  readonly socketPath: string;
  /** The engine is Podman, which differs in a few places. */
  readonly isPodman: boolean;
  /** It is a Podman whose own API, below `/libpod`, has what is used here: since 4.2. */
  readonly hasLibpod: boolean;
  /** What its containers run, in OCI's words: `linux/amd64`. */
  readonly platform: string;
  readonly #prefix: string;
  readonly #agent: Agent;
  readonly #request: typeof import("../http/undici.ts").request;

  private constructor(
    socketPath: string,
    { prefix, podman, platform }: { prefix: string; podman: string | undefined; platform: string },
    agent: Agent,
    request: typeof import("../http/undici.ts").request,
  ) {
    this.socketPath = socketPath;
    this.isPodman = podman !== undefined;
    this.hasLibpod = podman !== undefined && !isBefore(podman, FIRST_LIBPOD);
    this.platform = platform;
    this.#prefix = prefix;
    this.#agent = agent;
    this.#request = request;
  }

  /**
   * Asks the engine at `socketPath` who it is. Rejects with the system's error when nobody is there, and with one in words
   * when there is no answer in time.
   */
  static async connect(socketPath: string, options: AnswerOptions = {}): Promise<EngineApi> {
    const { Agent, request } = await import("../http/undici.ts");
    // A build, or the wait for a container's end, may take any time.
    const agent = new Agent({ connect: { socketPath }, headersTimeout: 0, bodyTimeout: 0 });
    const unversioned = new EngineApi(socketPath, { prefix: "", podman: undefined, platform: "" }, agent, request);
    const {
      ApiVersion,
      Os,
      Arch,
      Components = [],
    } = await unversioned
      .soon<{
        ApiVersion: string;
        Os: string;
        Arch: string;
        Components?: { Name: string; Version?: string }[];
      }>("/version", options)
      .catch((error: unknown) => {
        unversioned.close();
        throw error;
      });
    const podman = Components.find(({ Name }) => Name.startsWith("Podman"));
    const platform = Arch === "arm" ? "linux/arm/v7" : `${Os}/${Arch}`;
    const prefix = `/v${versionFor(ApiVersion)}`;
    return new EngineApi(socketPath, { prefix, podman: podman && (podman.Version ?? "0"), platform }, agent, request);
  }

  /** Calls and gives the answer's JSON; undefined for an answer without a body. */
  async json<T>(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<T> {
    const { body } = options;
    const json = body && { content: JSON.stringify(body), type: "application/json" };
    const text = (await (await this.#call(method, path, options, json)).text()).trim(); // Podman ends an empty one with a line end
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Gets what every engine answers at once. Rejects when there is no answer in time: an engine may hang. */
  async soon<T>(path: string, { timeoutMs = ANSWER_TIMEOUT_MS, signal }: AnswerOptions = {}): Promise<T> {
    const over = AbortSignal.timeout(timeoutMs);
    try {
      return await this.json<T>("GET", path, { signal: signal ? AbortSignal.any([signal, over]) : over });
    } catch (error) {
      if (over.aborted) throw new Error(`no answer within ${timeoutMs / 1000} s`, { cause: error });
      throw error;
    }
  }

  /** Whether it has a bridge, so that containers can have networks: one that was started without can not. Patient as {@link soon}. */
  async hasBridge(options: AnswerOptions = {}): Promise<boolean> {
    // Who looks at networks of Podman through Docker's API makes it forget that they are isolated (seen with 4.3).
    if (this.hasLibpod) {
      const networks = await this.soon<{ driver: string }[]>("/libpod/networks/json", options);
      return networks.some(({ driver }) => driver === "bridge");
    }
    const networks = await this.soon<{ Driver: string }[]>("/networks", options);
    return networks.some(({ Driver }) => Driver === "bridge");
  }

  /** Sends a tar archive, and gives the text of the answer: one JSON object a line. */
  async upload(path: string, archive: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<string> {
    return (await this.send(path, archive, options)).text();
  }

  /** Gets something large, piece by piece. */
  async download(path: string, options: CallOptions = {}): Promise<EngineAnswer> {
    return this.#call("GET", path, options);
  }

  /** Sends a tar archive, and gives the answer while it comes. */
  async send(path: string, archive: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<EngineAnswer> {
    const content = Readable.from(archive, { objectMode: false });
    try {
      return await this.#call("POST", path, options, { content, type: "application/x-tar" });
    } catch (error) {
      content.destroy();
      throw error;
    }
  }

  /**
   * Gives what a call prints for as long as it does, as attach does. An engine that is not asked to make another protocol of the
   * connection answers with a body that ends with it. `signal` ends the wait for the answer; the answer is whoever's that reads
   * it, to its end or until he destroys it.
   */
  async stream(path: string, { signal, ...options }: Omit<CallOptions, "body"> = {}): Promise<EngineAnswer> {
    const asking = new AbortController();
    const stop = () => asking.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      return await this.#call("POST", path, { ...options, signal: asking.signal });
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Closes the connections. */
  close(): void {
    void this.#agent.destroy();
  }

  async #call(
    method: Dispatcher.HttpMethod,
    path: string,
    { query, headers, signal }: CallOptions,
    sent?: { content: string | Readable; type: string },
  ): Promise<EngineAnswer> {
    const { statusCode, body } = await this.#request(this.#agent, {
      origin: "http://engine",
      method,
      path: this.#path(path, query),
      headers: { ...(sent && { "content-type": sent.type }), ...headers },
      body: sent?.content ?? null,
      signal: signal ?? null,
    });
    // The reader gets an error all the same. undici also throws when an unread answer is destroyed.
    body.on("error", () => {});
    if (statusCode < 300 || statusCode === 304) return body;
    throw failureOf(statusCode, await body.text());
  }

  #path(path: string, query: CallOptions["query"] = {}): string {
    const pairs = Object.entries(query).map(([name, value]): [string, string] => [
      name,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
    const prefix = path.startsWith("/libpod/") ? LIBPOD : this.#prefix;
    return `${prefix}${path}${pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ""}`;
  }
}

/** The version to speak with an engine whose newest is `engine`: `1.41`. */
export function versionFor(engine: string): string {
  return isBefore(engine, NEWEST) ? engine.split(".").slice(0, 2).join(".") : NEWEST.join(".");
}

function isBefore(version: string, [ofMajor, ofMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < ofMajor || (major === ofMajor && minor < ofMinor);
}

function failureOf(status: number, text: string): EngineApiError {
  let message = text.trim();
  try {
    const parsed: { message?: unknown } = JSON.parse(text);
    if (typeof parsed.message === "string") message = parsed.message;
  } catch {
    // a proxy's or an old engine's plain text
  }
  return new EngineApiError(status, message || `status ${status}`);
}
