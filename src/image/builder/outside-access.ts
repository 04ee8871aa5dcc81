/** Proxies and credentials for a container engine, so that a build in it reaches what this machine reaches. */
import { Buffer } from "node:buffer";
import type { EngineApi } from "../../container-engine/docker-api.ts";
import { isLoopbackHost } from "../../core/loopback.ts";
import { proxyFor } from "../../http/env-proxy.ts";
import { type Credentials, findCredentials } from "../../oci/registry/credentials.ts";
import { parseImageName } from "../../oci/registry/image-name.ts";

/** Docker Hub's name where engines look for credentials. */
const DOCKER_HUB = "https://index.docker.io/v1/";

/**
 * The header that signs the engine in to the registry of `base`, with what this machine has stored for it; nothing when that
 * is nothing. See "X-Registry-Config" in docs.docker.com/reference/api/engine.
 */
export async function signIn(
  base: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const { host, repository } = parseImageName(base);
  const credentials = await findCredentials({ host, repository }, env, signal);
  if (!credentials) return {};
  const server = host === "docker.io" ? DOCKER_HUB : host;
  const config = { [server]: { ...inEngineWords(credentials), serveraddress: server } };
  // Engines want the padding at the end, which Node leaves out of this encoding.
  const text = Buffer.from(JSON.stringify(config)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  return { "x-registry-config": text };
}

function inEngineWords(credentials: Credentials): Record<string, string> {
  switch (credentials.kind) {
    case "password":
      return { username: credentials.username, password: credentials.password.reveal() };
    case "identity":
      return { identitytoken: credentials.token.reveal() };
    case "registry":
      return { registrytoken: credentials.token.reveal() };
  }
}

/**
 * This machine's proxies as build arguments, which engines know by name and keep out of the image and its history. One that is
 * on this machine itself is left out unless the build is `onHost`: in a network of its own nobody answers there.
 */
export function proxyArguments(env: NodeJS.ProcessEnv, onHost: boolean): Record<string, string> {
  const found: Record<string, string> = {};
  for (const scheme of ["http", "https"]) {
    const proxy = proxyFor(new URL(`${scheme}://registry.invalid`), env);
    if (!proxy || (!onHost && isLoopbackHost(proxy.url.hostname))) continue;
    const text = env[proxy.variable] as string;
    for (const name of [`${scheme}_proxy`, `${scheme}_proxy`.toUpperCase()]) found[name] = text;
  }
  const excluded = env["NO_PROXY"] || env["no_proxy"];
  return excluded && Object.keys(found).length > 0 ? { ...found, NO_PROXY: excluded, no_proxy: excluded } : found;
}

/** True when a build has to be in the machine's own network: where the engine has no other, as for the apps that it runs. */
export async function buildsOnHost(api: EngineApi): Promise<boolean> {
  return !(await api.hasBridge());
}
