import { isLoopbackHost } from "./loopback.ts";

/** A registry, and the prefix of the names of images in it. */
export interface RegistryAddress {
  /** Host, with a port where it is not the usual one: `ghcr.io`, `localhost:5000`. */
  host: string;
  /** Plain HTTP: the host is this machine, or the address was written as `http://…`. */
  plain: boolean;
  /** Path before the names: `org/team`, or `""`. */
  prefix: string;
}

const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?`;
/** Source of a regular expression for one part of a repository's name (OCI distribution specification). */
export const REPOSITORY_PART = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*";
const WHOLE_HOST = new RegExp(`^${HOST}$`);
const ADDRESS = new RegExp(`^(?:(https?)://)?(${HOST})((?:/${REPOSITORY_PART})*)/?$`);

/**
 * Reads `[http://|https://]HOST[:PORT][/PREFIX]`; undefined for anything else. Without a scheme it is HTTPS, but for hosts of
 * this machine, where registries for trying things out speak HTTP.
 */
export function parseRegistryAddress(text: string): RegistryAddress | undefined {
  const [, scheme, host, path = ""] = ADDRESS.exec(text) ?? [];
  if (host === undefined || !isHost(host) || !isReachableHost(host)) return undefined;
  return { host, plain: isPlain(scheme, host), prefix: path.slice(1) };
}

/** True when the first part of an image's name is a registry and no user of Docker Hub. */
export function isHost(text: string): boolean {
  return /[.:]/.test(text) || text === "localhost";
}

/** True when an address can be made of a registry's host: a port is 1 to 65535, and an IP address is one. */
export function isReachableHost(host: string): boolean {
  return WHOLE_HOST.test(host) && URL.canParse(`https://${host}`) && !/:0+$/.test(host);
}

/** True when a registry is reached by plain HTTP; `scheme` is the scheme of its address, if it has one. */
export function isPlain(scheme: string | undefined, host: string): boolean {
  return scheme === "http" || (scheme === undefined && isLoopbackHost(host.replace(/:\d+$/, "")));
}

/** The error of a faulty address. */
export const REGISTRY_ADDRESS_RULE =
  "must be a registry such as ghcr.io/my-org or localhost:5000: a host with a port of 1 to 65535, and a path in lower case";
