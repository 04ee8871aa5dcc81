import { AppctlError, ExitCode, isAppctlError, messageOf } from "../../core/errors.ts";
import { BROKE_OFF, isNotHttp, NOT_HTTP } from "../../http/connection-error.ts";
import { proxyOf, proxyRefusal, proxyStatus, proxyText, proxyUnreachable } from "../../http/proxy-error.ts";
import type { RequestPurpose } from "../../http/purpose.ts";
import { isPassing, LONGEST_WAIT_MS } from "../../http/retry.ts";

/** What a request to a registry, or to its token service, is about. */
export interface Purpose extends RequestPurpose {
  /** Host of the registry, where it is another one than the host that is asked. */
  registry?: string;
}

/** An answer that means no, and what was done to get another one. */
export interface RegistryRefusal {
  status: number;
  /** The registry's own text; it identifies errors of the specification. */
  body: string;
  /** How often it was asked for. */
  tries: number;
  /** It asks for a longer pause than anybody waits. */
  longPause?: boolean;
}

/** The error for an answer that means no. */
export function answerError(refusal: RegistryRefusal, about: Purpose, signedIn: boolean): AppctlError {
  const { status, body } = refusal;
  const reasons = errorsIn(body);
  const isDenied = status === 401 || status === 403;
  const registry = about.registry ?? about.host;
  const message = `${about.host} answered ${status} when ${about.subject} was ${about.action}${reasons ? `: ${reasons}` : ""}`;
  if (isDenied) {
    return new AppctlError({
      code: "REGISTRY_REFUSED",
      exit: ExitCode.auth,
      message,
      hint: signedIn
        ? `${registry} refuses the stored credentials, or they do not cover this repository: sign in again`
        : `no credentials for ${registry}: sign in with docker login, podman login or skopeo login`,
      next: [`docker login ${registry}   # or: skopeo login, podman login`],
    });
  }
  if (status === 404) {
    return new AppctlError({
      code: "NOT_IN_REGISTRY",
      exit: ExitCode.notFound,
      message,
      hint: "check the spelling; some registries also answer this for a private repository, or for one that does not exist yet",
    });
  }
  if (isPassing(status)) {
    return new AppctlError({
      code: "REGISTRY_UNAVAILABLE",
      exit: ExitCode.unavailable,
      message,
      hint: `${whatWasDone(refusal)}. complete parts are not sent again`,
    });
  }
  const hint =
    status === 400 && /HTTPS server/i.test(body)
      ? `it speaks HTTPS: write it as https://${about.host}`
      : status === 507
        ? "the registry has no space left; complete parts are not sent again"
        : status >= 500
          ? "the registry does not support this request, so appctl did not try again"
          : undefined;
  const exit = status === 507 ? ExitCode.unavailable : ExitCode.failed;
  return new AppctlError({ code: "REGISTRY_ERROR", exit, message, ...(hint ? { hint } : {}) });
}

function whatWasDone({ tries, longPause }: RegistryRefusal): string {
  const done = tries > 1 ? `appctl tried ${tries} times; ` : "";
  const longest = `${LONGEST_WAIT_MS / 1000} seconds`;
  return longPause
    ? `${done}the registry asks for a pause of more than ${longest}: try again later`
    : `${done}try again later`;
}

/** The error for a registry that does not answer, or no longer; or for the proxy before it. */
function connectionError(cause: unknown, about: Purpose): AppctlError {
  const code = errorCode(cause);
  const text = code || messageOf(cause);
  const proxy = proxyOf(cause);
  const status = proxyStatus(cause);
  if (proxy && status !== undefined) return proxyRefusal(proxy, status, about, cause);
  if (proxy && NO_CONNECTION.test(code)) return proxyUnreachable(proxy, text, about, cause);
  if (code === NOT_HTTP) return noHttp(cause, about);
  const through = proxy ? ` through the proxy ${proxyText(proxy)}` : "";
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/.test(code);
  const notTls =
    code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "EPROTO" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG";
  return new AppctlError({
    code: certificate ? "REGISTRY_NOT_TRUSTED" : "REGISTRY_UNREACHABLE",
    exit: ExitCode.unavailable,
    message: certificate
      ? `the certificate of ${about.host}${through} is not trusted (${text}); ${about.subject} could not be ${about.action}`
      : `${about.host} does not answer${through} (${text}); ${about.subject} could not be ${about.action}`,
    hint: certificate
      ? "if your own authority signed it, set NODE_EXTRA_CA_CERTS to the authority's certificate file"
      : notTls
        ? `it may speak plain HTTP; to allow that, write it as http://${about.host}`
        : `check the address and the network, then try again${about.action === "pushed" ? "; complete parts are not sent again" : ""}`,
    cause,
  });
}

/** The error for bytes that are no answer of HTTP: another service's, or those of TLS. */
function noHttp(cause: unknown, { host, subject, action }: Purpose): AppctlError {
  return new AppctlError({
    code: "REGISTRY_UNREACHABLE",
    exit: ExitCode.unavailable,
    message: `${host} does not speak HTTP; ${subject} could not be ${action}`,
    hint: `look at the port: another service may listen there; a registry that wants TLS is written as https://${host}`,
    cause,
  });
}

/** The error for an answer that breaks the protocol. */
export function protocolError(why: string, { host, subject, action }: Purpose): AppctlError {
  return new AppctlError({
    code: "REGISTRY_ERROR",
    exit: ExitCode.failed,
    message: `${host} broke the registry protocol when ${subject} was ${action}: ${why}`,
  });
}

/** The error for content that is not what its digest says. */
export function damagedError(why: string, { host, subject }: Purpose, cause?: unknown): AppctlError {
  return new AppctlError({
    code: "REGISTRY_CONTENT_DAMAGED",
    exit: ExitCode.unavailable,
    message: `${subject} from ${host} is damaged: ${why}`,
    hint: "it was cut off or changed in transit, or is damaged in the registry; appctl kept nothing of it",
    cause,
  });
}

/** The system's or undici's name of what went wrong with a connection, or "". */
function errorCode(error: unknown): string {
  return coded(error)?.code ?? "";
}

/** The first error with a code: `error` itself, or what caused it. */
function coded(error: unknown): { code: string; syscall?: unknown } | undefined {
  for (let each = error; typeof each === "object" && each !== null; ) {
    const { code, syscall, cause, errors } = each as Record<"code" | "syscall" | "cause" | "errors", unknown>;
    if (isNotHttp(each)) return { code: NOT_HTTP };
    if (typeof code === "string") return { code, syscall };
    each = Array.isArray(errors) ? errors[0] : cause;
  }
  return undefined;
}

/** The errors of an answer (distribution-spec, Error Codes); none when it has another shape, such as a proxy's page. */
export function faultsIn(body: string): { code?: unknown; message?: unknown; detail?: unknown }[] {
  try {
    const { errors } = JSON.parse(body);
    return Array.isArray(errors) ? errors.filter((each) => typeof each === "object" && each !== null) : [];
  } catch {
    return [];
  }
}

/** `CODE: message` of the errors of an answer, or "". */
function errorsIn(body: string): string {
  const texts = faultsIn(body).map(({ code, message }) =>
    [code, message].filter((part) => typeof part === "string" && part !== "").join(": "),
  );
  return [...new Set(texts)].join("; ").slice(0, 500);
}

const isBroken = (code: string) => BROKE_OFF.has(code) || PASSING.test(code);
const PASSING =
  /^(?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|UND_ERR_(?:CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|PRX_CONN))$/;
/** With a proxy, it is the only host that a connection is made to. */
const NO_CONNECTION =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|UND_ERR_(?:CONNECT_TIMEOUT|PRX_TLS|PRX_CONN))$/;
/** Not every E…: a file that is sent, or a helper program, has such codes, too. */
const OF_A_CONNECTION =
  /^(?:ECONN[A-Z]+|E(?:HOST|NET)(?:UNREACH|DOWN)|EADDR[A-Z]+|ENOTFOUND|EPIPE|EPROTO|ETIMEDOUT|EAFNOSUPPORT|EAI_[A-Z]+|UND_ERR_\w+|ERR_(?:TLS|SSL)_\w+|UNABLE_TO_\w+|\w*CERT\w*)$/;
/** What the system was asked to do; `EPERM` of a connection is a firewall's. */
const CONNECTING = ["connect", "getaddrinfo"];

/** True when a connection could not be made, or broke under way: another try may get through. */
export function isBrokenConnection(error: unknown): boolean {
  return isBroken(errorCode(error)) || (proxyStatus(error) ?? 0) >= 500;
}

/** How many tries a failed one counts for: who has waited for an answer that did not come does so once more, and not five times. */
export function triesOf(error: unknown): number {
  return /^UND_ERR_(?:HEADERS|BODY)_TIMEOUT$/.test(errorCode(error)) ? 3 : 1;
}

/** `error` itself when it has words for a person already or is none of a connection's, else {@link connectionError}. */
export function asConnectionError(error: unknown, about: Purpose): unknown {
  if (isAppctlError(error)) return error;
  const { code, syscall } = coded(error) ?? { code: "" };
  const connection = isBroken(code) || OF_A_CONNECTION.test(code) || CONNECTING.includes(String(syscall));
  return connection ? connectionError(error, about) : error;
}
