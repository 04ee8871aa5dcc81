import { type EndpointName, endpoints, pathOf } from "../contract/endpoints.ts";
import { parseApiKey } from "../core/api-key.ts";

/** Options of a {@link Remote}. Each default comes from the environment that the platform gives to a running app. */
export interface RemoteOptions {
  /** An API key. Default: `APPCTL_API_KEY`. */
  apiKey?: string;
  /** Address of the platform. Default: `APPCTL_ENDPOINT`, else the address inside the key. */
  endpoint?: string;
  /** Default: `APPCTL_PROJECT`, else `default`. */
  project?: string;
  /** Default: `APPCTL_DOMAIN`, else `development`. */
  domain?: string;
  /** Default: the built-in `fetch`. */
  fetch?: typeof fetch;
}

/** An app, as the platform tells of it. */
export interface RemoteApp {
  project: string;
  domain: string;
  name: string;
  status: "Deploying" | "Running" | "Crashing" | "Stopped" | "Failed";
  /** More about the status, where there is more to say. */
  message: string;
  /** Name of the revision that serves; null before the first was ready. */
  revision: string | null;
  /** Public address, without a trailing slash. */
  endpoint: string;
  consoleUrl: string;
  /** True: the gateway asks for a platform key. */
  requiresAuth: boolean;
  description: string | null;
  /** ISO 8601, UTC. */
  createdAt: string;
  updatedAt: string;
}

/** A call to the platform that failed. `status` is the HTTP status, or 0 when there was no answer. */
export class RemoteError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RemoteError";
    this.status = status;
    this.code = code;
  }
}

/**
 * The platform, seen from inside an app: `new Remote()` takes key and address from the environment. The constructor never
 * throws; a missing or mistyped key shows at the first call, as a {@link RemoteError} with the code `NO_API_KEY` or
 * `MALFORMED_API_KEY`.
 */
export class Remote {
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions = {}) {
    this.#options = options;
  }

  /** Apps of this project and domain. */
  readonly apps = {
    /** Every app of the project and domain, by name. */
    list: async (): Promise<RemoteApp[]> => (await this.#get<{ apps: RemoteApp[] }>("listApps")).apps,
    /** One app. */
    get: (name: string): Promise<RemoteApp> => this.#get<RemoteApp>("getApp", { name }),
  };

  async #get<T>(endpoint: EndpointName, params: Record<string, string> = {}): Promise<T> {
    const { env } = process;
    const key = this.#options.apiKey ?? env["APPCTL_API_KEY"];
    if (!key) {
      throw new RemoteError(
        0,
        "NO_API_KEY",
        "no API key: set APPCTL_API_KEY, or give the App a Secret with that envVar",
      );
    }
    const parts = parseApiKey(key);
    if (!parts) {
      throw new RemoteError(0, "MALFORMED_API_KEY", "the API key is incomplete: its checksum is wrong");
    }
    const base = (this.#options.endpoint ?? env["APPCTL_ENDPOINT"] ?? parts.endpoint).replace(/\/+$/, "");
    const scope = {
      project: this.#options.project ?? env["APPCTL_PROJECT"] ?? "default",
      domain: this.#options.domain ?? env["APPCTL_DOMAIN"] ?? "development",
    };
    const url = base + pathOf(endpoint, { ...scope, ...params });
    const call = this.#options.fetch ?? fetch;
    let response: Response;
    try {
      response = await call(url, {
        method: endpoints[endpoint].method,
        headers: { authorization: `Bearer ${key.trim()}`, accept: "application/json" },
        redirect: "error",
      });
    } catch (cause) {
      throw new RemoteError(0, "UNREACHABLE", `the platform at ${base} does not answer`, { cause });
    }
    const body: unknown = await response.json().catch(() => undefined);
    if (!response.ok) {
      const problem = body as { code?: string; detail?: string } | undefined;
      throw new RemoteError(
        response.status,
        problem?.code ?? "HTTP_ERROR",
        problem?.detail ?? `the platform answered ${response.status}`,
      );
    }
    return body as T;
  }
}
