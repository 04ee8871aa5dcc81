/**
 * A thin client of the Docker Engine API (docs.docker.com/engine/api), which Podman's service speaks, too: HTTP over a unix
 * socket. Only what the runtime needs; a client library would bring SSH and gRPC along for the same few calls.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import type { Duplex, Readable } from "node:stream";

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

/** How long an engine may take to say who it is: one that its socket starts first takes a moment. */
const PATIENCE_MS = 10_000;

/** How long an answer is waited for, in milliseconds; `signal` ends it before. */
export interface Patience {
  patienceMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What a call carries. `query` values are sent as they are; objects in it as JSON, as filters are. */
export interface CallOptions {
  query?: Record<string, string | number | object>;
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** The newest version of the API that this client was written for. An older engine is spoken to in its own. */
const NEWEST = [1, 47] as const;

/** One engine. */
export class EngineApi {
  readonly socketPath: string;
  /** The engine is Podman, which differs in a few places. */
  readonly isPodman: boolean;
  /** What its containers run, in OCI's words: `linux/amd64`. */
  readonly platform: string;
  readonly #prefix: string;
  readonly #agent: Agent;

  private constructor(
    socketPath: string,
    { prefix, isPodman, platform }: { prefix: string; isPodman: boolean; platform: string },
    agent: Agent,
  ) {
    this.socketPath = socketPath;
    this.isPodman = isPodman;
    this.platform = platform;
    this.#prefix = prefix;
    this.#agent = agent;
  }

  /**
   * Asks the engine at `socketPath` who it is. Rejects with the system's error when nobody is there, and with one in words
   * when there is no answer in time.
   */
  static async connect(socketPath: string, options: Patience = {}): Promise<EngineApi> {
    const agent = new Agent({ keepAlive: true });
    const unversioned = new EngineApi(socketPath, { prefix: "", isPodman: false, platform: "" }, agent);
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
        Components?: { Name: string }[];
      }>("/version", options)
      .catch((error: unknown) => {
        agent.destroy();
        throw error;
      });
    const isPodman = Components.some(({ Name }) => Name.startsWith("Podman"));
    const platform = Arch === "arm" ? "linux/arm/v7" : `${Os}/${Arch}`;
    return new EngineApi(socketPath, { prefix: `/v${versionFor(ApiVersion)}`, isPodman, platform }, agent);
  }

  /** Calls and gives the answer's JSON; undefined for an answer without a body. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const { body } = options;
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const response = await this.#call(method, path, options, (send) => send.end(bytes), {
      ...(bytes ? { "content-type": "application/json", "content-length": String(bytes.length) } : {}),
    });
    const text = (await textOf(response)).trim(); // Podman ends an empty answer with a line end
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Gets what every engine answers at once. Rejects when there is no answer in time: an engine may hang. */
  async soon<T>(path: string, { patienceMs = PATIENCE_MS, signal }: Patience = {}): Promise<T> {
    const over = AbortSignal.timeout(patienceMs);
    try {
      return await this.json<T>("GET", path, { signal: signal ? AbortSignal.any([signal, over]) : over });
    } catch (error) {
      if (over.aborted) throw new Error(`no answer within ${patienceMs / 1000} s`, { cause: error });
      throw error;
    }
  }

  /** Whether SELinux confines its containers; false when the engine does not say. */
  async hasSelinux(): Promise<boolean> {
    const { SecurityOptions } = await this.soon<{ SecurityOptions?: string[] | null }>("/info").catch(() => ({
      SecurityOptions: null,
    }));
    return (SecurityOptions ?? []).some((option) => /(?:^|name=)selinux\b/.test(option));
  }

  /** Sends a tar archive, and gives the text of the answer: one JSON object a line. */
  async upload(path: string, archive: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<string> {
    return textOf(await this.send(path, archive, options));
  }

  /** Gets something large, piece by piece. */
  async download(path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    return this.#call("GET", path, options, (send) => send.end(), {});
  }

  /** Sends a tar archive, and gives the answer while it comes. */
  async send(path: string, archive: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<IncomingMessage> {
    const { Readable } = await import("node:stream");
    const source = Readable.from(archive, { objectMode: false });
    return this.#call(
      "POST",
      path,
      options,
      (send) => {
        source.once("error", (error) => send.destroy(error));
        source.pipe(send);
      },
      { "content-type": "application/x-tar" },
    ).finally(() => source.destroy());
  }

  /** Takes over the connection of a call, as attach does. What comes is {@link framesOf}'s to read. */
  async hijack(path: string, { query, signal }: Omit<CallOptions, "body">): Promise<Duplex | Readable> {
    return new Promise((resolve, reject) => {
      const send = request({
        socketPath: this.socketPath,
        agent: false,
        method: "POST",
        path: this.#path(path, query),
        headers: { host: "engine", connection: "Upgrade", upgrade: "tcp", "content-length": "0" },
        ...(signal ? { signal } : {}),
      });
      send.once("upgrade", (_, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      send.once("response", (response) => {
        if ((response.statusCode ?? 500) < 300) resolve(response);
        else failureOf(response).then(reject, reject);
      });
      send.once("error", reject);
      send.end();
    });
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  #call(
    method: string,
    path: string,
    { query, headers: own, signal }: CallOptions,
    write: (send: ReturnType<typeof request>) => void,
    headers: Record<string, string>,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const send = request({
        socketPath: this.socketPath,
        agent: this.#agent,
        method,
        path: this.#path(path, query),
        headers: { host: "engine", ...headers, ...own },
        ...(signal ? { signal } : {}),
      });
      send.once("response", (response) => {
        if ((response.statusCode ?? 500) < 300 || response.statusCode === 304) resolve(response);
        else failureOf(response).then(reject, reject);
      });
      send.once("error", reject);
      write(send);
    });
  }

  #path(path: string, query: CallOptions["query"] = {}): string {
    const pairs = Object.entries(query).map(([name, value]): [string, string] => [
      name,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
    return `${this.#prefix}${path}${pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ""}`;
  }
}

/** The version to speak with an engine whose newest is `engine`: `1.41`. */
export function versionFor(engine: string): string {
  const [major = 0, minor = 0] = engine.split(".").map(Number);
  const isOlder = major < NEWEST[0] || (major === NEWEST[0] && minor < NEWEST[1]);
  return isOlder ? `${major}.${minor}` : NEWEST.join(".");
}

async function failureOf(response: IncomingMessage): Promise<EngineApiError> {
  const text = await textOf(response);
  let message = text.trim();
  try {
    const parsed: { message?: unknown; cause?: unknown } = JSON.parse(text);
    if (typeof parsed.message === "string") message = parsed.message;
  } catch {
    // a proxy's or an old engine's plain text
  }
  return new EngineApiError(response.statusCode ?? 500, message || `status ${response.statusCode}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}
