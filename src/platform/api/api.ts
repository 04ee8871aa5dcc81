import type { IncomingMessage } from "node:http";
import { Hono } from "hono";
import { type EndpointName, endpoints } from "../../contract/endpoints.ts";
import { ExitCode, isAppctlError, messageOf } from "../../core/errors.ts";
import { ProblemError } from "../problem.ts";
import * as apps from "./apps.ts";
import * as builds from "./builds.ts";
import type { Handler, Services } from "./context.ts";
import * as images from "./image-content.ts";
import { listImages, pruneImages } from "./image-list.ts";
import * as keys from "./keys.ts";
import { descriptions } from "./openapi.ts";
import * as platform from "./platform.ts";
import * as secrets from "./secret-requests.ts";

const handlers: Record<EndpointName, Handler> = {
  health: platform.health,
  openapi: platform.openapi,
  platform: platform.platform,
  stopPlatform: platform.stopPlatform,
  consoleLink: platform.consoleLink,
  listProjects: apps.listProjects,
  listApps: apps.listApps,
  getApp: apps.getApp,
  checkApp: apps.checkApp,
  applyApp: apps.applyApp,
  deleteApp: apps.deleteApp,
  stopApp: apps.stopApp,
  startApp: apps.startApp,
  listRevisions: apps.listRevisions,
  setTraffic: apps.setTraffic,
  latestEvents: apps.deploymentEvents,
  deploymentEvents: apps.deploymentEvents,
  appLogs: apps.appLogs,
  listSecrets: secrets.listSecrets,
  createSecret: secrets.createSecret,
  getSecret: secrets.getSecret,
  updateSecret: secrets.updateSecret,
  deleteSecret: secrets.deleteSecret,
  listApiKeys: keys.listApiKeys,
  createApiKey: keys.createApiKey,
  getApiKey: keys.getApiKey,
  deleteApiKey: keys.deleteApiKey,
  listImages,
  pruneImages,
  resolvePackages: builds.resolvePackages,
  buildImage: builds.buildImage,
  missingBlobs: images.missingBlobs,
  putBlob: images.putBlob,
};

/** What `@hono/node-server` passes in addition to the request. */
export interface NodeBindings {
  incoming?: IncomingMessage;
}

/**
 * The deployment API as `Request → Response`. Everything but health needs an API key; a request that a web page of
 * another origin sent is refused, key or not. Host names are checked by the server, before this.
 */
export function createApi(services: Services, report: (message: string) => void): Hono<{ Bindings: NodeBindings }> {
  const api = new Hono<{ Bindings: NodeBindings }>();
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    const { method, path } = endpoints[name];
    api.on(method, path.replace(/\{(\w+)\}/g, ":$1"), async (c) => {
      const origin = c.req.header("origin");
      if (origin !== undefined && origin !== services.addresses.url) {
        throw new ProblemError("FOREIGN_ORIGIN", `requests from pages of ${origin} are refused`);
      }
      const principal = services.keys.verify(c.req.header("authorization"));
      if (!principal && !descriptions[name].open) {
        throw new ProblemError("UNAUTHENTICATED", "a valid API key is required: Authorization: Bearer <key>", {
          hint: "the key may be mistyped, revoked, or of another platform",
        });
      }
      const result = await handlers[name]({
        request: c.req.raw,
        params: c.req.param() as Record<string, string>,
        query: new URL(c.req.url).searchParams,
        principal,
        incoming: c.env?.incoming,
        services,
      });
      return result instanceof Response ? result : Response.json(result);
    });
  }
  api.notFound((c) => {
    throw new ProblemError("NO_SUCH_ENDPOINT", `${c.req.method} ${c.req.path} is not part of this API`, {
      hint: `${services.addresses.url}${endpoints.openapi.path} describes it`,
    });
  });
  api.onError((error) => answerFor(error, report));
  return api;
}

function answerFor(error: unknown, report: (message: string) => void): Response {
  if (error instanceof ProblemError) {
    return error.toResponse(error.problem.status === 401 ? { "www-authenticate": 'Bearer realm="appctl"' } : {});
  }
  if (isAppctlError(error)) {
    const status =
      error.exit === ExitCode.usage
        ? 422
        : error.exit === ExitCode.notFound
          ? 404
          : error.exit === ExitCode.unavailable
            ? 503
            : 500;
    if (status >= 500) report(messageOf(error));
    return new ProblemError(
      { code: error.code, status },
      error.message,
      error.hint ? { hint: error.hint } : {},
    ).toResponse();
  }
  report(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return new ProblemError("INTERNAL", "the platform failed to answer; its log has the reason", {
    hint: "appctl platform logs",
  }).toResponse();
}
