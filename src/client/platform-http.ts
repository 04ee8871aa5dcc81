import type { Readable } from "node:stream";
import { GATEWAY_HEADER, PLATFORM_RESTARTING } from "../contract/headers.ts";
import type { Problem } from "../contract/types.ts";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import type { Redacted } from "../core/redacted.ts";
import { BROKE_OFF, isNotHttp, NOT_HTTP } from "../http/connection-error.ts";
import { pause } from "../http/retry.ts";

/** One request to the platform. `path` starts with `/`. */
export interface HttpRequest {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  /** Bytes, or what opens a stream of them: each try needs its own. */
  body?: Uint8Array | (() => Readable);
  /** Of `body`, in bytes. */
  contentLength?: number;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Longest silence of the platform, in milliseconds. Default 30 s. */
  timeout?: number;
  /** Safe to send again after a broken connection. Default: for everything but POST. */
  repeatable?: boolean;
}

/** An answer: a successful one (2xx), but for {@link Http.exchange}. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable & {
    json(): Promise<unknown>;
    text(): Promise<string>;
    bytes(): Promise<Uint8Array>;
    dump(): Promise<void>;
  };
}

/** Options of {@link Http}. */
export interface HttpOptions {
  /** Origin of the platform, without a trailing slash. */
  endpoint: string;
  apiKey?: Redacted<string> | undefined;
  /** Called when the platform cannot be reached, before the next try; may bring it back. Its error ends the request. */
  onUnreachable?:
    | ((attempt: number) => Promise<{ endpoint: string; apiKey: Redacted<string> } | undefined>)
    | undefined;
  /** How often an unreachable platform is tried again. Default 4. */
  retries?: number;
  /** Waits between two tries. Default {@link pause}. */
  pause?: typeof pause;
}

const RETRY_PAUSES = [100, 300, 1000, 2000];

/** HTTP to one platform over undici: key, `*.localhost`, retries of what may be repeated, problems as errors. */
export class Http {
  readonly #options: HttpOptions;
  /** Waits between two tries. */
  readonly pause: typeof pause;
  #agent: import("undici").Agent | undefined;
  #endpoint: string;
  #apiKey: Redacted<string> | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.pause = options.pause ?? pause;
    this.#endpoint = options.endpoint;
    this.#apiKey = options.apiKey;
  }

  /** Origin that requests go to now. */
  get endpoint(): string {
    return this.#endpoint;
  }

  /** Sends a request; throws an {@link AppctlError} for every answer but 2xx and for a platform that does not answer. */
  send(request: HttpRequest): Promise<HttpResponse> {
    return this.#trying(request, async (response) => response);
  }

  /** {@link Http.send}, with the answer's JSON. An answer that breaks off is asked for again, as one that never came. */
  json<T>(request: HttpRequest): Promise<T> {
    return this.#trying(request, async ({ status, body }) => {
      try {
        return (await body.json()) as T;
      } catch (error) {
        // Another program's page; one of ours that was cut off has an error of its connection.
        if (error instanceof SyntaxError) throw problemError(status, "", this.#endpoint, request);
        throw error;
      }
    });
  }

  /**
   * Sends a request once and gives whatever is answered, for a protocol with words of its own. A platform that cannot be
   * reached is brought back before it is asked again; everything else about a connection is thrown as it is.
   */
  async exchange(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#once(request);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!isUnreachable(error) || !(await this.#bringBack(0))) throw error;
      return this.#once(request);
    }
  }

  async #trying<T>(request: HttpRequest, read: (response: HttpResponse) => Promise<T>): Promise<T> {
    const repeatable = request.repeatable ?? request.method !== "POST";
    const retries = this.#options.retries ?? RETRY_PAUSES.length;
    for (let attempt = 0; ; attempt++) {
      try {
        return await read(await this.#wanted(request));
      } catch (error) {
        request.signal?.throwIfAborted();
        const unreachable = isUnreachable(error);
        const broken = unreachable || isBroken(error);
        if (!broken) throw error;
        // A refused connection never reached the platform, so even a POST may be tried again.
        const again = unreachable || repeatable;
        if (!again || attempt >= retries) throw unreachableError(this.#endpoint, error);
        if (!(await this.#bringBack(attempt))) await this.pause(RETRY_PAUSES[attempt] ?? 2000, request.signal);
      }
    }
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  async #bringBack(attempt: number): Promise<boolean> {
    const moved = await this.#options.onUnreachable?.(attempt);
    if (!moved) return false;
    this.#endpoint = moved.endpoint;
    this.#apiKey = moved.apiKey;
    return true;
  }

  async #wanted(request: HttpRequest): Promise<HttpResponse> {
    const response = await this.#once(request);
    if (response.status >= 200 && response.status < 300) return response;
    const text = await response.body.text();
    throw problemError(response.status, text, this.#endpoint, request);
  }

  async #once(request: HttpRequest): Promise<HttpResponse> {
    const { Agent, request: send } = await import("../http/undici.ts");
    this.#agent ??= new Agent({ connect: { lookup: lookupWithLocalhost }, keepAliveTimeout: 4000, allowH2: false });
    const timeout = request.timeout ?? 30_000;
    const headers: Record<string, string> = { accept: "application/json", ...request.headers };
    if (this.#apiKey) headers["authorization"] = `Bearer ${this.#apiKey.reveal()}`;
    if (request.json !== undefined) headers["content-type"] = "application/json";
    if (request.contentLength !== undefined) headers["content-length"] = String(request.contentLength);
    const response = await send(this.#agent, {
      origin: this.#endpoint,
      path: request.path + queryOf(request.query),
      method: request.method,
      headers,
      body:
        request.json !== undefined
          ? JSON.stringify(request.json)
          : typeof request.body === "function"
            ? request.body()
            : (request.body ?? null),
      signal: request.signal ?? null,
      // undici ends a connection after each HEAD, for servers that answer one with a body; the platform does not.
      reset: false,
      headersTimeout: timeout,
      bodyTimeout: timeout,
    });
    if (response.headers[GATEWAY_HEADER] === PLATFORM_RESTARTING) {
      await response.body.dump();
      throw Object.assign(new Error("the platform is being started again"), { code: PLATFORM_RESTARTING });
    }
    return { status: response.statusCode, headers: response.headers, body: response.body };
  }
}

/** `localhost` and `*.localhost` are loopback (RFC 6761), whatever the machine's resolver says. */
function lookupWithLocalhost(
  hostname: string,
  options: import("node:dns").LookupOptions,
  callback: (
    error: NodeJS.ErrnoException | null,
    address: string | import("node:dns").LookupAddress[],
    family?: number,
  ) => void,
): void {
  if (/(?:^|\.)localhost$/i.test(hostname)) {
    if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
    else callback(null, "127.0.0.1", 4);
    return;
  }
  import("node:dns").then(({ lookup }) => lookup(hostname, options, callback));
}

function queryOf(query: HttpRequest["query"]): string {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return entries.length
    ? `?${new URLSearchParams(Object.fromEntries(entries.map(([key, value]) => [key, String(value)])))}`
    : "";
}

/** The error for an answer that is not 2xx: the problem's own words, and the exit code of its status. */
function problemError(status: number, text: string, endpoint: string, request: HttpRequest): AppctlError {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text);
  } catch {
    problem = {}; // not from appctl: a proxy's page, say
  }
  const isOurs = typeof problem.code === "string" && typeof problem.detail === "string";
  return new AppctlError({
    code: isOurs ? (problem.code as string) : "UNEXPECTED_ANSWER",
    exit: exitOf(status),
    message: isOurs
      ? (problem.detail as string)
      : `${endpoint} answered ${status} to ${request.method} ${request.path}, which is no answer of an appctl platform`,
    ...(problem.hint && isOurs ? { hint: problem.hint } : {}),
    ...(status === 401 ? { next: ["appctl create api-key admin --name NAME   # on the platform's machine"] } : {}),
    faults: problem.faults ?? [],
  });
}

/** The exit code for the status of a platform's answer. */
export function exitOf(status: number): ExitCode {
  if (status === 401 || status === 403) return ExitCode.auth;
  if (status === 404) return ExitCode.notFound;
  if (status === 409 || status === 412) return ExitCode.conflict;
  if (status === 408 || status === 429 || status === 502 || status === 503 || status === 504 || status === 507)
    return ExitCode.unavailable;
  if (status >= 400 && status < 500) return ExitCode.usage;
  if (status < 300) return ExitCode.unavailable; // it is another program that answers
  return ExitCode.bug;
}

const UNREACHABLE = new Set([
  PLATFORM_RESTARTING,
  "ECONNREFUSED",
  "ENOENT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const BROKEN = new Set([
  ...BROKE_OFF,
  "ETIMEDOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
]);

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if (isNotHttp(error)) return NOT_HTTP;
  const { code, errors } = error as { code?: unknown; errors?: unknown[] };
  if (typeof code === "string") return code;
  return Array.isArray(errors) ? codeOf(errors[0]) : "";
}

/** True when no connection could be made. */
export function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.has(codeOf(error));
}

/** True when a connection broke under way, or the platform fell silent. */
export function isBroken(error: unknown): boolean {
  return BROKEN.has(codeOf(error));
}

/** The error for a platform that does not answer, or no longer. */
export function unreachableError(endpoint: string, cause: unknown): AppctlError {
  const code = codeOf(cause);
  const why = code === NOT_HTTP ? "it does not speak HTTP" : code || messageOf(cause);
  return new AppctlError({
    code: "PLATFORM_UNREACHABLE",
    exit: ExitCode.unavailable,
    message: `the platform at ${endpoint} does not answer (${why})`,
    hint: "try again; an accepted deploy continues",
    next: ["appctl platform status"],
    cause,
  });
}
