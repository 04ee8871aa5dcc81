/** What can go wrong with a host that is reached through an HTTP proxy. */
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import type { EnvProxy } from "./env-proxy.ts";
import type { RequestPurpose } from "./purpose.ts";

/** `cause`, and the proxy that the request went through. The retries and the messages look for both in it. */
export function throughProxy(cause: unknown, proxy: EnvProxy): Error {
  return Object.assign(new Error(`a request through the proxy ${proxy.url.origin} failed`, { cause }), { proxy });
}

/** The proxy of {@link throughProxy}, if `error` came that way. */
export function proxyOf(error: unknown): EnvProxy | undefined {
  return error instanceof Error && "proxy" in error ? (error.proxy as EnvProxy) : undefined;
}

/** The status by which the proxy itself refused; undefined when `error` is something else. */
export function proxyStatus(error: unknown): number | undefined {
  if (proxyOf(error) === undefined) return undefined;
  // undici has the number in its text only: "Proxy response (502) !== 200 …", "Proxy Authentication Required (407)".
  const status = /^Proxy [^()]*\((\d{3})\)/.exec(messageOf((error as Error).cause))?.[1];
  return status === undefined ? undefined : Number(status);
}

/** A proxy as a person knows it: its address without credentials, and the variable that names it. */
export const proxyText = ({ url, variable }: EnvProxy) => `${url.origin} (${variable})`;

/** The error for a proxy that cannot be reached; `text` is the reason. */
export function proxyUnreachable(proxy: EnvProxy, text: string, about: RequestPurpose, cause: unknown): AppctlError {
  return new AppctlError({
    code: "PROXY_UNREACHABLE",
    exit: ExitCode.unavailable,
    message: `the proxy ${proxyText(proxy)} does not answer (${text}); ${about.subject} could not be ${about.action}`,
    hint: `check the address in ${proxy.variable}; to bypass the proxy, add ${about.host} to NO_PROXY`,
    cause,
  });
}

/** The error for a proxy that refused with `status`. */
export function proxyRefusal(proxy: EnvProxy, status: number, about: RequestPurpose, cause: unknown): AppctlError {
  const message = `the proxy ${proxyText(proxy)} answered ${status} to a request for ${about.host}; ${about.subject} could not be ${about.action}`;
  const common = { code: "PROXY_REFUSED", message, cause };
  if (status !== 407) {
    const exit = status >= 500 ? ExitCode.unavailable : ExitCode.auth;
    return new AppctlError({
      ...common,
      exit,
      hint:
        status >= 500
          ? "the proxy cannot reach the registry; check the registry's address, and try again later"
          : `the proxy may block that host or port; to bypass it, add ${about.host} to NO_PROXY`,
    });
  }
  return new AppctlError({
    ...common,
    exit: ExitCode.auth,
    hint: proxy.authorization
      ? `the proxy refuses the user and the password in ${proxy.variable}`
      : `the proxy requires a user and a password: ${proxy.variable}=${proxy.url.protocol}//USER:PASSWORD@${proxy.url.host}`,
  });
}
