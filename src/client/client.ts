import { createReadStream } from "node:fs";
import { type EndpointName, endpoints, pathOf } from "../contract/endpoints.ts";
import type {
  ApiKeyCreate,
  ApiKeyCreated,
  ApiKeyInfo,
  AppRef,
  AppSpec,
  AppStatus,
  BuildEvent,
  BuildRequest,
  CheckResult,
  ConsoleLink,
  Deployment,
  DeploymentEvent,
  EventPage,
  ImageInfo,
  ImageReference,
  LogLine,
  PlatformStatus,
  ProjectList,
  Pruned,
  ResolveEvent,
  ResolveRequest,
  Revision,
  SecretInfo,
  SecretScope,
  SecretWrite,
} from "../contract/types.ts";
import { ExitCode, isAppctlError } from "../core/errors.ts";
import type { BuildProgress } from "../core/events.ts";
import { BUILD_SILENCE_MS, lastOf } from "./build-answer.ts";
import {
  Http,
  type HttpOptions,
  type HttpRequest,
  type HttpResponse,
  isBroken,
  isUnreachable,
  unreachableError,
} from "./platform-http.ts";

/** Where a request is about: project and domain. */
export interface Scope {
  project: string;
  domain: string;
}

/** What a call needs in addition to its endpoint. */
type Call = Partial<HttpRequest> & { params?: Record<string, string | number> };

/** Longest wait of one long poll, in seconds. */
const POLL_SECONDS = 25;
/** How often the answer to a build may break off before that is an error. */
const MOST_BREAKS = 2;

/** The deployment API, typed. Every method throws {@link AppctlError} with the platform's own words. */
export class Client {
  readonly #http: Http;

  constructor(options: HttpOptions) {
    this.#http = new Http(options);
  }

  /** Origin of the platform. */
  get endpoint(): string {
    return this.#http.endpoint;
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  platform = (): Promise<PlatformStatus> => this.#json("platform");
  stopPlatform = (): Promise<unknown> => this.#json("stopPlatform");
  consoleLink = (path: string): Promise<ConsoleLink> => this.#json("consoleLink", { json: { path } });

  /** Projects and domains with something in them. An older platform does not tell: none. */
  listProjects = async (): Promise<ProjectList["projects"]> => {
    try {
      return (await this.#json<ProjectList>("listProjects")).projects;
    } catch (error) {
      if (isAppctlError(error) && error.code === "NO_SUCH_ENDPOINT") return [];
      throw error;
    }
  };

  // Apps
  listApps = async (scope: Scope): Promise<AppStatus[]> =>
    (await this.#json<{ apps: AppStatus[] }>("listApps", { params: { ...scope } })).apps;
  getApp = (ref: AppRef): Promise<AppStatus> => this.#json("getApp", { params: { ...ref } });
  /** Problems of a deploy of `spec`: faults, missing secrets, warnings. Changes nothing. */
  checkApp = (ref: AppRef, spec: AppSpec, signal?: AbortSignal): Promise<CheckResult> =>
    this.#json("checkApp", { params: { ...ref }, json: { spec }, repeatable: true, signal });
  /** Puts an app into the wanted state. The same spec and image again give the same revision. */
  applyApp = (ref: AppRef, spec: AppSpec, image: ImageReference, idempotencyKey: string): Promise<Deployment> =>
    this.#json("applyApp", {
      params: { ...ref },
      json: { spec, image },
      headers: { "idempotency-key": idempotencyKey },
    });
  deleteApp = (ref: AppRef): Promise<unknown> => this.#json("deleteApp", { params: { ...ref }, timeout: 120_000 });
  stopApp = (ref: AppRef): Promise<AppStatus> =>
    this.#json("stopApp", { params: { ...ref }, timeout: 120_000, repeatable: true });
  startApp = (ref: AppRef): Promise<Deployment> => this.#json("startApp", { params: { ...ref }, repeatable: true });
  listRevisions = async (ref: AppRef): Promise<Revision[]> =>
    (await this.#json<{ revisions: Revision[] }>("listRevisions", { params: { ...ref } })).revisions;
  /** Moves traffic to an earlier revision, with the secrets it was pinned to; without a name, to the one before. */
  setTraffic = (ref: AppRef, revision?: string): Promise<Deployment> =>
    this.#json("setTraffic", { params: { ...ref }, json: revision === undefined ? {} : { revision } });

  // Secrets
  listSecrets = async (scope: Scope): Promise<SecretInfo[]> =>
    (await this.#json<{ secrets: SecretInfo[] }>("listSecrets", { params: { ...scope } })).secrets;
  /** `repeatable`: a secret of that name that exists already is as good, so a broken connection is tried again. */
  createSecret = (scope: Scope, secret: SecretWrite, repeatable = false): Promise<SecretInfo> =>
    this.#json("createSecret", { params: { ...scope }, json: secret, repeatable });
  getSecret = (scope: Scope, name: string, level?: SecretScope): Promise<SecretInfo> =>
    this.#json("getSecret", { params: { ...scope, name }, query: { scope: level } });
  updateSecret = (scope: Scope, secret: SecretWrite): Promise<SecretInfo> =>
    this.#json("updateSecret", { params: { ...scope, name: secret.name }, json: secret });
  deleteSecret = (scope: Scope, name: string, level?: SecretScope): Promise<unknown> =>
    this.#json("deleteSecret", { params: { ...scope, name }, query: { scope: level } });

  // API keys
  listApiKeys = async (): Promise<ApiKeyInfo[]> => (await this.#json<{ keys: ApiKeyInfo[] }>("listApiKeys")).keys;
  createApiKey = (key: ApiKeyCreate): Promise<ApiKeyCreated> => this.#json("createApiKey", { json: key });
  getApiKey = (name: string): Promise<ApiKeyInfo> => this.#json("getApiKey", { params: { name } });
  deleteApiKey = (name: string): Promise<unknown> => this.#json("deleteApiKey", { params: { name } });

  // Images
  /** Every named image that the platform stores, in order of its name. */
  listImages = async (): Promise<ImageInfo[]> => (await this.#json<{ images: ImageInfo[] }>("listImages")).images;
  /** Removes images that no revision needs. `dryRun`: only says which. */
  pruneImages = (dryRun: boolean): Promise<Pruned> =>
    this.#json("pruneImages", { json: { dryRun }, timeout: 300_000, repeatable: true });
  /** A request of the OCI distribution protocol, `/v2/`, which the platform speaks as well. See {@link Http.exchange}. */
  distribution = (request: HttpRequest): Promise<HttpResponse> => this.#http.exchange(request);
  missingBlobs = async (digests: string[], signal?: AbortSignal): Promise<string[]> =>
    (await this.#json<{ missing: string[] }>("missingBlobs", { json: { digests }, repeatable: true, signal })).missing;
  /** Uploads a blob from a file. The platform checks the digest. */
  putBlob = (digest: string, file: string, size: number, signal?: AbortSignal): Promise<unknown> =>
    this.#json("putBlob", {
      params: { digest },
      body: () => createReadStream(file),
      contentLength: size,
      headers: { "content-type": "application/octet-stream" },
      timeout: 300_000,
      signal,
    });
  /** Gives every package of an image one version, on the platform. */
  resolvePackages = (request: ResolveRequest, onProgress: (step: BuildProgress) => void, signal?: AbortSignal) =>
    this.#built<ResolveEvent>("resolvePackages", request, onProgress, signal);
  /** Builds an environment image into the platform's store. */
  buildImage = (request: BuildRequest, onProgress: (step: BuildProgress) => void, signal?: AbortSignal) =>
    this.#built<BuildEvent>("buildImage", request, onProgress, signal);
  /** One page of a deployment's events: those after `after`, waiting up to 25 s for the first. */
  deploymentEvents = (
    ref: AppRef,
    deployment: number | "latest",
    after: number,
    signal?: AbortSignal,
  ): Promise<EventPage> =>
    this.#json(deployment === "latest" ? "latestEvents" : "deploymentEvents", {
      params: deployment === "latest" ? { ...ref } : { ...ref, deployment },
      query: { after, wait: POLL_SECONDS },
      timeout: (POLL_SECONDS + 15) * 1000,
      signal,
    });

  /**
   * Events of a deployment from `after` to its terminal one; `first` is a page that was read already. A lost connection is
   * taken up again where it broke.
   */
  async *follow(
    ref: AppRef,
    deployment: number,
    after: number,
    signal?: AbortSignal,
    first?: EventPage,
  ): AsyncGenerator<DeploymentEvent> {
    let cursor = after;
    let page = first;
    for (;;) {
      page ??= await this.#surviving(() => this.deploymentEvents(ref, deployment, cursor, signal), signal);
      for (const event of page.events) {
        cursor = event.seq;
        yield event;
        if (event.type !== "status") return;
      }
      if (page.done && page.events.length === 0) return;
      page = undefined;
    }
  }

  /** Lines of an app's output, oldest first; with `follow`, until `signal` aborts. */
  async *logs(
    ref: AppRef,
    query: { tail?: number | undefined; since?: string | undefined; follow: boolean },
    signal?: AbortSignal,
  ): AsyncGenerator<LogLine> {
    yield* this.#lines<LogLine>("appLogs", {
      params: { ...ref },
      query: { tail: query.tail, since: query.since, follow: query.follow },
      timeout: query.follow ? 0 : 60_000,
      signal,
    });
  }

  /** The JSON lines of an answer, as they come. */
  async *#lines<T>(name: EndpointName, call: Call, onOpen?: () => void): AsyncGenerator<T, void> {
    const { body } = await this.#send(name, { ...call, headers: { accept: "application/x-ndjson" } });
    onOpen?.();
    let rest = "";
    body.setEncoding("utf8");
    try {
      for await (const chunk of body) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line) yield JSON.parse(line) as T;
      }
    } catch (error) {
      call.signal?.throwIfAborted();
      throw isBroken(error) ? unreachableError(this.endpoint, error) : error;
    }
  }

  /** Asks again when the answer breaks off: the platform may have been restarted, and the same request comes to the same. */
  async #built<T extends ResolveEvent | BuildEvent>(
    name: EndpointName,
    json: unknown,
    onProgress: (step: BuildProgress) => void,
    signal: AbortSignal | undefined,
  ) {
    for (let breaks = 0; ; breaks++) {
      let isOpen = false;
      const call: Call = { json, repeatable: true, timeout: BUILD_SILENCE_MS, signal };
      const lines = this.#lines<T>(name, call, () => {
        isOpen = true;
      });
      try {
        return await lastOf(lines, onProgress, this.endpoint);
      } catch (error) {
        signal?.throwIfAborted();
        const isCut = isOpen && isAppctlError(error) && error.code === "PLATFORM_UNREACHABLE";
        if (!isCut || breaks >= MOST_BREAKS) throw error;
      }
    }
  }

  /** A wait outlasts a platform that is away for a while: it may be restarting, and the deployment goes on. */
  async #surviving<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await call();
      } catch (error) {
        signal?.throwIfAborted();
        const away =
          isBroken(error) || isUnreachable(error) || (isAppctlError(error) && error.exit === ExitCode.unavailable);
        if (!away || failures >= 20) throw error;
        await this.#http.pause(Math.min(250 * 2 ** failures, 3000), signal);
      }
    }
  }

  #send(name: EndpointName, { params, ...call }: Call = {}) {
    return this.#http.send({ ...call, method: endpoints[name].method, path: pathOf(name, params) });
  }

  #json<T>(name: EndpointName, { params, ...call }: Call = {}): Promise<T> {
    return this.#http.json<T>({ ...call, method: endpoints[name].method, path: pathOf(name, params) });
  }
}
