/**
 * Which HTTP proxy an address is reached through: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment, or the same
 * in lower case, read as Go reads them (golang.org/x/net/http/httpproxy), and so docker, podman and skopeo.
 */
import { Buffer } from "node:buffer";
import net, { isIP } from "node:net";
import { usageError } from "../core/errors.ts";
import { isLoopbackHost } from "../core/loopback.ts";
import { Redacted } from "../core/redacted.ts";

/** An HTTP proxy. */
export interface EnvProxy {
  /** Scheme, host and port, without credentials. */
  url: URL;
  /** Its `Proxy-Authorization`, when there are credentials in the address. */
  authorization?: Redacted<string>;
  /** Variable that names it. */
  variable: string;
}

/**
 * The proxy for `url`; undefined when it is reached directly, as this machine itself always is. Throws INVALID_PROXY for an
 * address that no proxy can have.
 */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): EnvProxy | undefined {
  const upper = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const variable = [upper, upper.toLowerCase()].find((name) => env[name]);
  if (variable === undefined || isExcluded(url, env["NO_PROXY"] || env["no_proxy"] || "")) return undefined;
  return parseProxy(env[variable] as string, variable);
}

function parseProxy(text: string, variable: string): EnvProxy {
  // `proxy.example.com:3128` is one, too, and would else have the scheme `proxy.example.com:`.
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(written) ? new URL(written) : undefined;
  // Never the value itself: it may hold a password.
  if (!url?.hostname) throw invalid(variable, "is not the address of an HTTP proxy");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(variable, `names a proxy with the protocol ${url.protocol.slice(0, -1)} (expected http or https)`);
  }
  const pair = url.username === "" ? undefined : credentialsOf(url);
  if (pair === null) throw invalid(variable, "has credentials with a faulty %-escape");
  return {
    url: new URL(url.origin),
    variable,
    ...(pair === undefined
      ? {}
      : { authorization: new Redacted(`Basic ${Buffer.from(pair, "utf8").toString("base64")}`) }),
  };
}

/** `user:password`, null when it cannot be read. */
function credentialsOf({ username, password }: URL): string | null {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return null; // its caller says so
  }
}

function invalid(variable: string, why: string) {
  return usageError(`the environment variable ${variable} ${why}`, {
    code: "INVALID_PROXY",
    hint: `such as ${variable}=http://proxy.example.com:3128; in user and password, ":", "@", "/" and "%" are %-escaped`,
  });
}

/** True when `noProxy` excludes the host, or it is this machine. */
function isExcluded(url: URL, noProxy: string): boolean {
  if (isLoopbackHost(url.hostname)) return true;
  const host = withoutBrackets(url.hostname);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && excludes(entry, host, port));
}

/**
 * True when an entry of NO_PROXY is about the host: `*`, an IP address or a range of them, `example.com` for itself and what
 * is below it, `.example.com` and `*.example.com` for what is below it; all but ranges with a port, if they have one.
 */
function excludes(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [, network = "", bits] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? [];
  if (bits !== undefined) return inRange(host, network, Number(bits));
  const [, named = entry, ofPort] = isIP(entry) ? [] : (/^(.*):(\d+)$/.exec(entry) ?? []);
  if (ofPort !== undefined && ofPort !== port) return false;
  const name = withoutBrackets(named).replace(/^\*\./, ".");
  if (isIP(name)) return isIP(host) !== 0 && inRange(host, name, isIP(name) === 4 ? 32 : 128);
  if (name === "" || isIP(host)) return false;
  return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function inRange(host: string, network: string, bits: number): boolean {
  const [kind, ofNetwork] = [isIP(host), isIP(network)];
  if (kind === 0 || kind !== ofNetwork || bits > (kind === 4 ? 32 : 128)) return false;
  const family = kind === 4 ? "ipv4" : "ipv6";
  const range = new net.BlockList();
  range.addSubnet(network, bits, family);
  return range.check(host, family);
}

const withoutBrackets = (host: string) => host.replace(/^\[(.*)\]$/, "$1");
