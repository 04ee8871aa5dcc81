/** The platform's images: it is a registry, `/v2/` at the address of the client and with the client's key. */
import type { Client } from "../client/client.ts";
import { exitOf, unreachableError } from "../client/platform-http.ts";
import { AppctlError, ExitCode } from "../core/errors.ts";
import { isPassing } from "../http/retry.ts";
import { answerError, faultsIn, type Purpose, type RegistryRefusal } from "../oci/registry/registry-error.ts";
import { Repository, type RepositoryOptions } from "../oci/registry/repository.ts";
import { RegistryStore } from "./registry-store.ts";

/** The longest silence of a platform, in milliseconds: it may check a whole blob before it answers. */
const SILENCE_MS = 120_000;

/** The images of the platform. `address` is its host and port in references; `wait` is as in `RepositoryOptions`. */
export function platformStore(
  client: Client,
  { address, ...options }: { address: string } & Pick<RepositoryOptions, "signal" | "wait">,
): RegistryStore {
  return new RegistryStore({ address, near: true, repositoryOf: (name) => platformRepository(client, name, options) });
}

/**
 * A repository of the platform. Requests go the way of all others of the client: through its connections, to where the
 * platform is now, and one that is away is brought back. Nobody has to close it.
 */
function platformRepository(
  client: Client,
  name: string,
  { signal, wait }: Pick<RepositoryOptions, "signal" | "wait">,
): Repository {
  const { host, protocol, origin } = new URL(client.endpoint);
  return new Repository({
    name: { host, plain: protocol === "http:", repository: name },
    access: "push",
    env: {},
    signal,
    wait,
    credentials: async () => undefined, // the client has the key
    unreachable: (cause) => unreachableError(client.endpoint, cause),
    refuse: (refusal, about) => refusalError(refusal, about, client.endpoint),
    transport: ({ method, url, headers, body, length }) => {
      // Only ever the platform itself: the key goes along.
      if (url.origin !== origin) throw elsewhereError(url, client.endpoint);
      return client.distribution({
        method,
        path: url.pathname + url.search,
        ...(headers ? { headers } : {}),
        ...(body ? { body } : {}),
        ...(length === undefined ? {} : { contentLength: length }),
        timeout: SILENCE_MS,
        signal,
      });
    },
  });
}

/** The platform's own code, message and hint where it gave them, else what the status means. */
function refusalError(refusal: RegistryRefusal, about: Purpose, endpoint: string): AppctlError {
  const { status, body } = refusal;
  const exit = exitOf(status);
  const platformError = faultsIn(body).flatMap(({ detail }) => (isProblem(detail) ? [detail] : []))[0];
  if (platformError) return new AppctlError({ exit, ...platformError });
  const { message, hint } = answerError(refusal, about, true);
  if (status === 401 || status === 403) {
    return new AppctlError({
      code: "UNAUTHENTICATED",
      exit,
      message,
      hint: "the API key may have been revoked since the deploy began",
      next: ["appctl create api-key admin --name NAME   # on the platform's machine"],
    });
  }
  if (status === 404) {
    return new AppctlError({
      code: "PLATFORM_TOO_OLD",
      exit: ExitCode.unavailable,
      message: `the platform at ${endpoint} has no image registry API (/v2/)`,
      hint: "the platform runs an older appctl, or a proxy in front of it blocks /v2/: update it, then deploy again",
    });
  }
  if (status === 413) {
    return new AppctlError({
      code: "BLOB_TOO_LARGE",
      exit,
      message,
      hint: "a proxy in front of the platform must allow requests of 8 MiB",
    });
  }
  const more = hint === undefined ? {} : { hint };
  if (!isPassing(status)) return new AppctlError({ code: "UNEXPECTED_ANSWER", exit, message, ...more });
  return new AppctlError({ code: "PLATFORM_UNAVAILABLE", exit: ExitCode.unavailable, message, ...more });
}

/** What the platform says in `detail` of a failure of its own. */
function isProblem(detail: unknown): detail is { code: string; message: string; hint?: string } {
  const { code, message, hint } = (detail ?? {}) as Record<string, unknown>;
  return typeof code === "string" && typeof message === "string" && (hint === undefined || typeof hint === "string");
}

function elsewhereError(url: URL, endpoint: string): AppctlError {
  return new AppctlError({
    code: "UNEXPECTED_ANSWER",
    exit: ExitCode.failed,
    message: `the platform at ${endpoint} redirected the upload of the image to ${url.origin}, which is not the platform`,
    hint: "a proxy in front of the platform may rewrite Location: it must not",
  });
}
