/**
 * Signs in to a registry: Basic (RFC 7617), or Bearer with a token of the service that the registry names
 * (distribution.github.io/distribution/spec/auth/token and …/oauth).
 */
import { Buffer } from "node:buffer";
import { isLoopbackHost } from "../../core/loopback.ts";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { answerError, asConnectionError, type Purpose, protocolError } from "./registry-error.ts";

/** What {@link Authorizer} works with. */
export interface AuthorizerOptions {
  /** `pull` or `pull,push` for each repository that is worked with. */
  scopes: readonly string[];
  /** Plain HTTP is spoken to the registry, so its token service may be asked so, too. */
  plain: boolean;
  /** Called when the registry first asks who we are. */
  credentials(): Promise<Credentials | undefined>;
}

/** A request to the token service, and its answer. */
export type AskTokenService = (request: {
  method: "GET" | "POST";
  url: URL;
  headers: Record<string, string>;
  body?: Buffer;
  length?: number;
}) => Promise<{ status: number; text: string; tries: number }>;

/** The `Authorization` header for one registry and a set of scopes; many requests at once ask for it once. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  #current: string | undefined;
  #asking: Promise<string | undefined> | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;
  /** Credentials were found and used. */
  signedIn = false;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** What the last sign-in gave; a request that carries it saves the registry's no. */
  get current(): string | undefined {
    return this.#current;
  }

  /**
   * The header after a 401 to a request that carried `used`; undefined when there is no other one to try. Throws when the
   * token service refuses or cannot be asked.
   */
  async answer(
    challenges: Challenge[],
    used: string | undefined,
    ask: AskTokenService,
    about: Purpose,
  ): Promise<string | undefined> {
    // Another request has signed in meanwhile.
    if (this.#current !== undefined && this.#current !== used) return this.#current;
    this.#asking ??= this.#signIn(challenges, used, ask, about).finally(() => {
      this.#asking = undefined;
    });
    const header = await this.#asking;
    this.#current = header;
    return header === used ? undefined : header;
  }

  async #signIn(
    challenges: Challenge[],
    used: string | undefined,
    ask: AskTokenService,
    about: Purpose,
  ): Promise<string | undefined> {
    this.#credentials ??= this.#options.credentials();
    const credentials = await this.#credentials;
    this.signedIn = credentials !== undefined;
    if (credentials?.kind === "registry") return `Bearer ${credentials.token.reveal()}`;
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer) return `Bearer ${await this.#token(bearer, credentials, ask, about)}`;
    const basic = challenges.some(({ scheme }) => scheme === "basic");
    return basic && credentials?.kind === "password" ? basicHeader(credentials) : used;
  }

  async #token(
    { parameters }: Challenge,
    credentials: Credentials | undefined,
    ask: AskTokenService,
    about: Purpose,
  ): Promise<string> {
    const url = this.#realm(parameters["realm"], about);
    const { service } = parameters;
    const { scopes: ownScopes } = this.#options;
    // What the registry names for this one request is mostly part of what the whole work needs.
    const isCovered = (scope: string) => ownScopes.some((each) => resourceOf(each) === resourceOf(scope));
    const more = (parameters["scope"] ?? "").split(" ").filter((scope) => scope !== "" && !isCovered(scope));
    const scopes = [...ownScopes, ...more];
    const at = { ...about, host: url.host, registry: about.host };
    const { status, text, tries } = await (credentials?.kind === "identity"
      ? ask(refreshRequest(url, service, scopes, credentials.token.reveal()))
      : ask(tokenRequest(url, service, scopes, credentials))
    ).catch((error: unknown) => {
      throw asConnectionError(error, at);
    });
    if (status !== 200) {
      const what = { ...at, subject: `a token for ${about.subject}` };
      throw answerError({ status, body: text, tries }, what, this.signedIn);
    }
    const token = tokenIn(text);
    if (token === undefined) throw protocolError("its token service gave no token", at);
    return token;
  }

  /** The token service gets a password: never over plain HTTP, unless the registry itself is spoken to so. */
  #realm(realm: string | undefined, about: Purpose): URL {
    if (realm === undefined || !URL.canParse(realm)) throw protocolError("its challenge names no token service", about);
    const url = new URL(realm);
    const allowed = url.protocol === "https:" || (url.protocol === "http:" && this.#allowsPlain(url));
    if (!allowed) throw protocolError(`its token service ${url.origin} does not use HTTPS`, about);
    return url;
  }

  #allowsPlain(url: URL): boolean {
    return this.#options.plain || isLoopbackHost(url.hostname);
  }
}

/** `repository:org/name:pull` → `repository:org/name`. */
const resourceOf = (scope: string) => scope.slice(0, scope.lastIndexOf(":"));

/** `Authorization: Basic …`. */
function basicHeader(credentials: Extract<Credentials, { kind: "password" }>): string {
  const pair = `${credentials.username}:${credentials.password.reveal()}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scopes: string[],
  credentials: Credentials | undefined,
): Parameters<AskTokenService>[0] {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  url.searchParams.set("client_id", "appctl");
  if (credentials?.kind !== "password") return { method: "GET", url, headers: {} };
  url.searchParams.set("account", credentials.username);
  return { method: "GET", url, headers: { authorization: basicHeader(credentials) } };
}

function refreshRequest(
  url: URL,
  service: string | undefined,
  scopes: string[],
  token: string,
): Parameters<AskTokenService>[0] {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: "appctl", refresh_token: token });
  if (service !== undefined) form.set("service", service);
  form.set("scope", scopes.join(" "));
  const body = Buffer.from(form.toString(), "utf8");
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return { method: "POST", url, headers, body, length: body.length };
}

function tokenIn(text: string): string | undefined {
  try {
    const { token, access_token: other } = JSON.parse(text);
    return [token, other].find((each): each is string => typeof each === "string" && /^[\x21-\x7e]+$/.test(each));
  } catch {
    return undefined; // its caller says that there was none
  }
}
