/** The OpenAPI 3.1 document of the deployment API, made from `contract/`: it cannot say what the code does not do. */
import * as z from "zod";
import { type EndpointName, endpoints } from "../../contract/endpoints.ts";
import * as schemas from "../../contract/schemas.ts";
import { version } from "../../core/assets.ts";

interface Description {
  summary: string;
  tag: "apps" | "secrets" | "keys" | "images" | "platform";
  status?: number;
  body?: z.core.$ZodType;
  response: z.core.$ZodType | { lines: z.core.$ZodType } | "json";
  query?: Record<string, string>;
  open?: boolean;
}

/** What each endpoint takes and gives. */
export const descriptions: Record<EndpointName, Description> = {
  health: {
    summary: "Tell that this is an appctl platform",
    tag: "platform",
    response: schemas.Health,
    query: { nonce: "hex digits; the answer then carries a proof of identity" },
    open: true,
  },
  openapi: { summary: "This document", tag: "platform", response: "json" },
  platform: { summary: "How the platform runs", tag: "platform", response: schemas.PlatformStatus },
  stopPlatform: { summary: "Stop the platform", tag: "platform", response: schemas.Empty },
  consoleLink: {
    summary: "Make a one-time sign-in link for the console",
    tag: "platform",
    status: 201,
    body: schemas.ConsoleLinkRequest,
    response: schemas.ConsoleLink,
  },
  listApps: { summary: "List apps", tag: "apps", response: schemas.AppList },
  getApp: { summary: "Get an app", tag: "apps", response: schemas.AppStatus },
  checkApp: {
    summary: "Tell what stands in the way of a deploy",
    tag: "apps",
    body: schemas.CheckRequest,
    response: schemas.CheckResult,
  },
  applyApp: {
    summary: "Deploy an app; idempotent (equal spec, image and secret versions give the same revision)",
    tag: "apps",
    status: 202,
    body: schemas.ApplyRequest,
    response: schemas.Deployment,
  },
  deleteApp: { summary: "Delete an app", tag: "apps", response: schemas.Empty },
  stopApp: { summary: "Stop an app", tag: "apps", response: schemas.AppStatus },
  startApp: { summary: "Start a stopped app", tag: "apps", status: 202, response: schemas.Deployment },
  listRevisions: { summary: "List an app's revisions", tag: "apps", response: schemas.RevisionList },
  setTraffic: {
    summary: "Move traffic to an earlier revision",
    tag: "apps",
    status: 202,
    body: schemas.TrafficRequest,
    response: schemas.Deployment,
  },
  latestEvents: {
    summary: "Events of the latest deployment",
    tag: "apps",
    response: schemas.EventPage,
    query: { after: "number of the last event that was seen", wait: "seconds to wait for an event, 0 to 60" },
  },
  deploymentEvents: {
    summary: "Events of a deployment",
    tag: "apps",
    response: schemas.EventPage,
    query: { after: "number of the last event that was seen", wait: "seconds to wait for an event, 0 to 60" },
  },
  appLogs: {
    summary: "Lines of an app's output",
    tag: "apps",
    response: { lines: schemas.LogLine },
    query: { tail: "how many of the last lines", since: "an ISO 8601 time", follow: "true: go on with new lines" },
  },
  listSecrets: { summary: "List secrets", tag: "secrets", response: schemas.SecretList },
  createSecret: {
    summary: "Create a secret",
    tag: "secrets",
    status: 201,
    body: schemas.SecretWrite,
    response: schemas.SecretInfo,
  },
  getSecret: {
    summary: "Get what can be told of a secret",
    tag: "secrets",
    response: schemas.SecretInfo,
    query: { scope: "project, domain or organization" },
  },
  updateSecret: {
    summary: "Give a secret a new version",
    tag: "secrets",
    body: schemas.SecretWrite,
    response: schemas.SecretInfo,
  },
  deleteSecret: {
    summary: "Delete a secret",
    tag: "secrets",
    response: schemas.Empty,
    query: { scope: "project, domain or organization" },
  },
  listApiKeys: { summary: "List API keys", tag: "keys", response: schemas.ApiKeyList },
  createApiKey: {
    summary: "Make an API key; it is shown once",
    tag: "keys",
    status: 201,
    body: schemas.ApiKeyCreate,
    response: schemas.ApiKeyCreated,
  },
  getApiKey: { summary: "Get what can be told of an API key", tag: "keys", response: schemas.ApiKeyInfo },
  deleteApiKey: { summary: "Revoke an API key", tag: "keys", response: schemas.Empty },
  pruneImages: {
    summary: "Remove images that no revision needs",
    tag: "images",
    body: schemas.PruneRequest,
    response: schemas.Pruned,
  },
  listImages: { summary: "List the images that the platform stores", tag: "images", response: schemas.ImageList },
  resolvePackages: {
    summary: "Give every package of an image one version; an empty line means that it takes its time",
    tag: "images",
    body: schemas.ResolveRequest,
    response: { lines: schemas.ResolveEvent },
  },
  buildImage: {
    summary:
      "Build an environment image, which is given up when the client goes; an empty line means that it takes its time",
    tag: "images",
    body: schemas.BuildRequest,
    response: { lines: schemas.BuildEvent },
  },
  missingBlobs: {
    summary: "Tell which blobs are missing",
    tag: "images",
    body: schemas.DigestList,
    response: schemas.MissingBlobs,
  },
  putBlob: { summary: "Upload a blob", tag: "images", status: 201, response: schemas.Descriptor },
  resolveImage: {
    summary: "Get the manifest that a reference names",
    tag: "images",
    response: schemas.Descriptor,
    query: { reference: "name:tag" },
  },
};

/** The whole document. `url` is the platform's origin. */
export function openApiDocument(url: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, { method, path }] of Object.entries(endpoints) as [
    EndpointName,
    { method: string; path: string },
  ][]) {
    paths[path] ??= {};
    (paths[path] as Record<string, unknown>)[method.toLowerCase()] = operation(name, path);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "appctl deployment API",
      version: version(),
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url }],
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "an appctl API key" } },
      schemas: { Problem: jsonSchema(schemas.Problem) },
    },
  };
}

function operation(name: EndpointName, path: string): Record<string, unknown> {
  const { summary, tag, status = 200, body, response, query, open } = descriptions[name];
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, key]) => ({
    name: key,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(query ?? {}).map(([key, description]) => ({
    name: key,
    in: "query",
    required: false,
    description,
    schema: { type: "string" },
  }));
  const binaryBody = { required: true, content: { "application/octet-stream": {} } };
  const jsonBody = body && { required: true, content: { "application/json": { schema: jsonSchema(body) } } };
  const requestBody = name === "putBlob" ? binaryBody : jsonBody;
  return {
    operationId: name,
    summary,
    tags: [tag],
    ...(open ? { security: [] } : {}),
    parameters: [...inPath, ...inQuery],
    ...(requestBody ? { requestBody } : {}),
    responses: {
      [status]: { description: "Success", content: contentOf(response) },
      default: {
        description: "A problem (RFC 9457)",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function contentOf(response: Description["response"]): Record<string, unknown> {
  if (response === "json") return { "application/json": {} };
  if ("lines" in response) return { "application/x-ndjson": { schema: jsonSchema(response.lines) } };
  return { "application/json": { schema: jsonSchema(response) } };
}

function jsonSchema(schema: z.core.$ZodType): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}
