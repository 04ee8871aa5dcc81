/**
 * The deployment API's endpoints: method and path of each, without schemas, so that a client loads nothing for them.
 * `platform/api/` mounts a handler for each and `platform/api/openapi.ts` describes each; both are typed by these keys, so
 * an endpoint that one of them forgets does not compile.
 */
const scope = "/api/v1/projects/{project}/domains/{domain}";

export const endpoints = {
  health: { method: "GET", path: "/api/v1/health" },
  openapi: { method: "GET", path: "/api/v1/openapi.json" },
  platform: { method: "GET", path: "/api/v1/platform" },
  stopPlatform: { method: "POST", path: "/api/v1/platform/stop" },
  consoleLink: { method: "POST", path: "/api/v1/console-links" },

  listProjects: { method: "GET", path: "/api/v1/projects" },
  listApps: { method: "GET", path: `${scope}/apps` },
  getApp: { method: "GET", path: `${scope}/apps/{name}` },
  checkApp: { method: "POST", path: `${scope}/apps/{name}/check` },
  applyApp: { method: "PUT", path: `${scope}/apps/{name}` },
  deleteApp: { method: "DELETE", path: `${scope}/apps/{name}` },
  stopApp: { method: "POST", path: `${scope}/apps/{name}/stop` },
  startApp: { method: "POST", path: `${scope}/apps/{name}/start` },
  listRevisions: { method: "GET", path: `${scope}/apps/{name}/revisions` },
  setTraffic: { method: "PUT", path: `${scope}/apps/{name}/traffic` },
  latestEvents: { method: "GET", path: `${scope}/apps/{name}/events` },
  deploymentEvents: { method: "GET", path: `${scope}/apps/{name}/deployments/{deployment}/events` },
  appLogs: { method: "GET", path: `${scope}/apps/{name}/logs` },

  listSecrets: { method: "GET", path: `${scope}/secrets` },
  createSecret: { method: "POST", path: `${scope}/secrets` },
  getSecret: { method: "GET", path: `${scope}/secrets/{name}` },
  updateSecret: { method: "PUT", path: `${scope}/secrets/{name}` },
  deleteSecret: { method: "DELETE", path: `${scope}/secrets/{name}` },

  listApiKeys: { method: "GET", path: "/api/v1/api-keys" },
  createApiKey: { method: "POST", path: "/api/v1/api-keys" },
  getApiKey: { method: "GET", path: "/api/v1/api-keys/{name}" },
  deleteApiKey: { method: "DELETE", path: "/api/v1/api-keys/{name}" },

  listImages: { method: "GET", path: "/api/v1/images" },
  pruneImages: { method: "POST", path: "/api/v1/images/prune" },
  resolvePackages: { method: "POST", path: "/api/v1/images/resolutions" },
  buildImage: { method: "POST", path: "/api/v1/images/builds" },
  missingBlobs: { method: "POST", path: "/api/v1/images/missing" },
  putBlob: { method: "PUT", path: "/api/v1/images/blobs/{digest}" },
} as const satisfies Record<string, { method: "GET" | "POST" | "PUT" | "DELETE"; path: string }>;

/** Name of an endpoint. */
export type EndpointName = keyof typeof endpoints;

/** The path of `name` with its `{parameters}` filled in and percent-encoded. */
export function pathOf(name: EndpointName, params: Record<string, string | number> = {}): string {
  return endpoints[name].path.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = params[key];
    if (value === undefined) throw new Error(`endpoint ${name}: parameter ${key} is missing`);
    return encodeURIComponent(String(value));
  });
}
