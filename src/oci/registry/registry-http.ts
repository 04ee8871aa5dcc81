import type { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { isAppctlError } from "../../core/errors.ts";
import { type EnvProxy, proxyFor } from "../../http/env-proxy.ts";
import { throughProxy } from "../../http/proxy-error.ts";
import { isPassing, LONGEST_WAIT_MS, pause, pauseBefore, RETRIES } from "../../http/retry.ts";
import type { AskTokenService, Authorizer } from "./authorizer.ts";
import { bodyText } from "./body-text.ts";
import { parseChallenges } from "./challenge.ts";
import {
  answerError,
  asConnectionError,
  isBrokenConnection,
  type Purpose,
  protocolError,
  type RegistryRefusal,
  triesOf,
} from "./registry-error.ts";

/** One request to a registry. */
export interface RegistryRequest {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Absolute address. */
  url: URL;
  headers?: Record<string, string>;
  /** Bytes, or what opens a stream of them: each try needs its own. */
  body?: Buffer | (() => Readable);
  /** Of `body`, in bytes. */
  length?: number;
  about: Purpose;
}

/** An answer of any status. Its body has to be read or left with `dump()`. */
export interface RegistryAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable & { text(): Promise<string>; bytes(): Promise<Uint8Array>; dump(): Promise<void> };
  /** Where it came from, after redirects. */
  url: URL;
}

/** Sends a request over connections of its own, and signs it. */
export type Transport = (
  request: Omit<RegistryRequest, "about">,
  signal: AbortSignal,
) => Promise<Omit<RegistryAnswer, "url">>;

/** What {@link RegistryHttp} works with. */
export interface RegistryHttpOptions {
  /** Origin of the registry: what signs in goes to it alone. */
  origin: string;
  authorizer: Authorizer;
  /** Tells which proxies there are. */
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** In place of the connections that are made here. Then no redirect is followed. */
  transport?: Transport | undefined;
  /** The error for an answer that means no. Default: {@link answerError}, in words about a registry. */
  refuse?: ((refusal: RegistryRefusal, about: Purpose) => Error) | undefined;
  /** The error for a registry that does not answer. Default: REGISTRY_UNREACHABLE. */
  unreachable?: ((cause: unknown) => Error) | undefined;
  /** How long it may say nothing, in milliseconds: when something is sent to it, and when it is only asked. */
  silenceMs?: { sending: number; asking: number } | undefined;
  /** Waits before the next try. Default: the time that it is given. */
  wait?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/** The longest silence of a registry, in milliseconds: it may check a whole blob before it answers, or fetch one from elsewhere. */
const SILENCE_MS = { sending: 120_000, asking: 60_000 };
const REDIRECTS = 5;

/** HTTP to one registry over undici, through a proxy where there is one: signs in, follows redirects, tries again what passes. */
export class RegistryHttp {
  readonly #options: RegistryHttpOptions;
  /** By the proxy that they go through; the one without has the name "". */
  readonly #agents = new Map<string, Promise<import("undici").Dispatcher>>();

  constructor(options: RegistryHttpOptions) {
    this.#options = options;
  }

  /**
   * Sends a request that may be sent again, until the answer has one of the statuses `wanted`. Throws an AppctlError for
   * every other answer, and for a registry that does not answer.
   */
  async send(request: RegistryRequest, statuses: readonly number[]): Promise<RegistryAnswer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.once(request).catch(async (error: unknown) => {
        attempt = (await this.pauseAfterFailure(error, attempt, request.about)) - 1;
      });
      if (!answer) continue;
      if (statuses.includes(answer.status)) return answer;
      if (attempt >= RETRIES || !isPassing(answer.status)) {
        throw await this.refusal(answer, request.about, { tries: attempt + 1 });
      }
      await this.pauseAfter(answer, attempt, request.about);
    }
  }

  /** Waits as an answer asks, or as `attempt` (from 0) says. Throws when it asks for longer than anybody waits. */
  async pauseAfter(answer: RegistryAnswer, attempt: number, about: Purpose): Promise<void> {
    const ms = pauseBefore(attempt, answer.headers["retry-after"], { now: Date.now(), chance: Math.random() });
    if (ms > LONGEST_WAIT_MS) throw await this.refusal(answer, about, { tries: attempt + 1, longPause: true });
    await answer.body.dump();
    await this.#wait(ms);
  }

  /** Waits before another try of what broke off. */
  pauseBefore(attempt: number): Promise<void> {
    return this.#wait(pauseBefore(attempt, undefined, { now: 0, chance: Math.random() }));
  }

  /**
   * Waits before another try of what broke off with `error` after as many `failures`. Returns how many there are now. Throws
   * when they are too many, or another try would fail, too.
   */
  async pauseAfterFailure(error: unknown, failures: number, about: Purpose): Promise<number> {
    this.#options.signal.throwIfAborted();
    const count = failures + triesOf(error);
    if (count > RETRIES || !isBrokenConnection(error)) throw this.connectionError(error, about);
    await this.pauseBefore(count - 1);
    return count;
  }

  /** The error for an answer that was not wanted, after so many tries. */
  async refusal(
    answer: RegistryAnswer,
    about: Purpose,
    done: Omit<RegistryRefusal, "status" | "body">,
  ): Promise<Error> {
    // What the registry says about it is worth having, but not worth another failure.
    const body = await bodyText(answer.body).catch(() => "");
    const retryAfter = answer.headers["retry-after"];
    const { refuse, authorizer } = this.#options;
    const refusal = { ...done, status: answer.status, body };
    if (refuse) return refuse(refusal, about);
    const error = answerError(refusal, about, authorizer.signedIn);
    if (retryAfter !== undefined && isPassing(answer.status)) error.details.push(`Retry-After: ${retryAfter}`);
    return error;
  }

  /** The error to throw for a connection that failed for good; every other error stays as it is. */
  connectionError(error: unknown, about: Purpose): unknown {
    const known = asConnectionError(error, about);
    const isAway = isAppctlError(known) && known.code === "REGISTRY_UNREACHABLE";
    return isAway && this.#options.unreachable ? this.#options.unreachable(known.cause) : known;
  }

  /** Sends a request once; signs in when that is asked for. Throws what the connection threw. */
  async once(request: RegistryRequest): Promise<RegistryAnswer> {
    const { authorizer, origin } = this.#options;
    let used = authorizer.current;
    const answer = await this.#following(request, used);
    // Only the registry itself gets the credentials, and no host that it redirects to.
    if (answer.status !== 401 || answer.url.origin !== new URL(origin).origin) return answer;
    const challenges = parseChallenges(answer.headers["www-authenticate"]);
    const ask: AskTokenService = (message) =>
      this.#plainly(message, { ...request.about, host: message.url.host, registry: request.about.host });
    used = await authorizer.answer(challenges, used, ask, request.about);
    if (used === undefined) return answer;
    await answer.body.dump();
    return this.#following(request, used);
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(async (agent) => (await agent).destroy()));
  }

  async #following(request: RegistryRequest, token: string | undefined): Promise<RegistryAnswer> {
    let { url } = request;
    const home = new URL(this.#options.origin);
    for (let hops = 0; ; hops++) {
      const signed: Record<string, string> =
        token !== undefined && url.origin === home.origin ? { authorization: token } : {};
      const answer = await this.#raw({ ...request, url, headers: { ...request.headers, ...signed } });
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (!isRead || this.#options.transport || ![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      const { location } = answer.headers;
      await answer.body.dump();
      const next =
        typeof location === "string" && URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (next === undefined) throw protocolError("a redirect to nowhere", request.about);
      if (hops >= REDIRECTS) throw protocolError("too many redirects", request.about);
      if (next.protocol !== "https:" && url.protocol === "https:") {
        throw protocolError(`a redirect from HTTPS to ${next.protocol}//${next.host}`, request.about);
      }
      url = next;
    }
  }

  /** To the token service, which is another server: nothing of the registry's goes along but what is given. */
  async #plainly(request: Parameters<AskTokenService>[0], about: Purpose): ReturnType<AskTokenService> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#raw({ ...request, about });
        if (attempt >= RETRIES || !isPassing(answer.status)) {
          return { status: answer.status, text: await bodyText(answer.body), tries: attempt + 1 };
        }
        await this.pauseAfter(answer, attempt, about);
      } catch (error) {
        attempt += triesOf(error) - 1;
        if (attempt >= RETRIES || !isBrokenConnection(error)) throw error;
        await this.pauseBefore(attempt);
      }
    }
  }

  async #raw({ about: _, ...request }: RegistryRequest): Promise<RegistryAnswer> {
    const { transport } = this.#options;
    if (transport) return { ...(await transport(request, this.#options.signal)), url: request.url };
    const { method, url, headers, body, length } = request;
    const { request: send } = await import("../../http/undici.ts");
    const { signal, env } = this.#options;
    const proxy = proxyFor(url, env);
    const agent = await this.#agentFor(proxy);
    const sized = length === undefined ? {} : { "content-length": String(length) };
    const { sending, asking } = this.#options.silenceMs ?? SILENCE_MS;
    const silence = method === "GET" || method === "HEAD" ? asking : sending;
    const answer = await send(agent, {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { "user-agent": "appctl", ...headers, ...sized },
      body: typeof body === "function" ? body() : (body ?? null),
      signal,
      // undici ends a connection after each HEAD, for servers that answer one with a body; a push is mostly such questions.
      reset: false,
      headersTimeout: silence,
      bodyTimeout: silence,
    }).catch((error: unknown) => {
      throw proxy ? throughProxy(error, proxy) : error;
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body, url };
  }

  #agentFor(proxy: EnvProxy | undefined): Promise<import("undici").Dispatcher> {
    const name = proxy?.url.origin ?? "";
    const known = this.#agents.get(name);
    if (known) return known;
    const options = { keepAliveTimeout: 4000, allowH2: false };
    const make = async () => {
      const { Agent, proxyAgent } = await import("../../http/undici.ts");
      if (!proxy) return new Agent(options);
      const { url, authorization } = proxy;
      const signed = authorization === undefined ? {} : { token: authorization.reveal() };
      return proxyAgent({ ...options, uri: url.origin, ...signed });
    };
    const agent = make();
    this.#agents.set(name, agent);
    return agent;
  }

  #wait(ms: number): Promise<void> {
    return (this.#options.wait ?? pause)(ms, this.#options.signal);
  }
}

/**
 * Where an upload goes on: the answer's `Location`, which may be relative to `base`, the URL that was asked. Throws a protocol
 * error for none, and for one that leaves TLS.
 */
export function locationOf({ headers: { location } }: RegistryAnswer, base: URL, about: Purpose): URL {
  const next = typeof location === "string" && URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  if (next === undefined) throw protocolError("no place to send the content to", about);
  if (base.protocol === "https:" && next.protocol === "http:") {
    // A registry behind a proxy that ends TLS does not always know that it is spoken to so.
    if (next.hostname !== base.hostname)
      throw protocolError(`the content should go to ${next.origin}, without TLS`, about);
    next.protocol = "https:";
    next.port = base.port;
  }
  return next;
}
