/** The OpenAPI 3.1 document of the deployment API, made from `contract/`: it cannot say what the code does not do. */
import * as z from "zod";
import { type EndpointName, endpoints } from "../../contract/endpoints.ts";
import { IDEMPOTENCY_KEY, LIMITS } from "../../contract/limits.ts";
import { NAMES, type NamePattern } from "../../contract/name-patterns.ts";
import * as schemas from "../../contract/schemas.ts";
import { version } from "../../core/package-files.ts";
import { TITLES } from "../problem.ts";

type Json = Record<string, unknown>;

/** A parameter of a query or a header. */
interface Parameter {
  description: string;
  schema: Json;
}

interface Description {
  summary: string;
  tag: "apps" | "secrets" | "keys" | "images" | "platform";
  /** Status of a success. Default: 200. */
  status?: number;
  body?: z.core.$ZodType;
  response: z.core.$ZodType | { lines: z.core.$ZodType } | "json";
  query?: Record<string, Parameter>;
  headers?: Record<string, Parameter>;
  /** The state of what the path names can refuse it: 409. */
  conflicts?: true;
  /** Needs no key. */
  open?: true;
}

const text = { type: "string" };
const whole = { type: "integer", minimum: 0 };
const scope = {
  description: "where the secret is seen",
  schema: { type: "string", enum: schemas.SecretScope.options },
};
const page = {
  after: { description: "number of the last event that the client has", schema: whole },
  wait: { description: "seconds to wait for an event", schema: { ...whole, maximum: LIMITS.eventWaitSeconds.value } },
};
const pattern = ({ pattern: { source } }: NamePattern) => ({ type: "string", pattern: source });

/** Schemas of the parameters in paths. */
const PATH_PARAMETERS: Record<string, Json> = {
  project: pattern(NAMES.scope),
  domain: pattern(NAMES.scope),
  deployment: { type: "integer", minimum: 1 },
  digest: pattern(NAMES.digest),
};

/** What each endpoint takes and gives. */
export const descriptions: Record<EndpointName, Description> = {
  health: {
    summary: "Identify an appctl platform",
    tag: "platform",
    response: schemas.Health,
    query: { nonce: { description: "hex digits; the answer then carries a proof of identity", schema: text } },
    open: true,
  },
  openapi: { summary: "Get this document", tag: "platform", response: "json", open: true },
  platform: { summary: "Get the status of the platform", tag: "platform", response: schemas.PlatformStatus },
  stopPlatform: { summary: "Stop the platform", tag: "platform", response: schemas.Empty },
  consoleLink: {
    summary: "Create a one-time sign-in link for the console",
    tag: "platform",
    status: 201,
    body: schemas.ConsoleLinkRequest,
    response: schemas.ConsoleLink,
  },
  listProjects: { summary: "List projects and their domains", tag: "apps", response: schemas.ProjectList },
  listApps: { summary: "List apps", tag: "apps", response: schemas.AppList },
  getApp: { summary: "Get an app", tag: "apps", response: schemas.AppStatus },
  checkApp: {
    summary: "Check an app before a deploy",
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
    headers: {
      "Idempotency-Key": {
        description: "A request with the key of an earlier one returns the deployment of that one.",
        schema: { type: "string", pattern: IDEMPOTENCY_KEY.source },
      },
    },
    conflicts: true,
  },
  deleteApp: { summary: "Delete an app", tag: "apps", response: schemas.Empty, conflicts: true },
  stopApp: { summary: "Stop an app", tag: "apps", response: schemas.AppStatus, conflicts: true },
  startApp: { summary: "Start a stopped app", tag: "apps", status: 202, response: schemas.Deployment, conflicts: true },
  listRevisions: { summary: "List an app's revisions", tag: "apps", response: schemas.RevisionList },
  setTraffic: {
    summary: "Move traffic to an earlier revision",
    tag: "apps",
    status: 202,
    body: schemas.TrafficRequest,
    response: schemas.Deployment,
    conflicts: true,
  },
  latestEvents: {
    summary: "Get events of the latest deployment",
    tag: "apps",
    response: schemas.EventPage,
    query: page,
  },
  deploymentEvents: {
    summary: "Get events of a deployment",
    tag: "apps",
    response: schemas.EventPage,
    query: page,
  },
  appLogs: {
    summary: "Get lines of an app's output",
    tag: "apps",
    response: { lines: schemas.LogLine },
    query: {
      tail: { description: "how many of the last lines", schema: whole },
      since: { description: "lines from this time on", schema: { type: "string", format: "date-time" } },
      follow: { description: "go on with new lines", schema: { type: "boolean" } },
    },
  },
  listSecrets: { summary: "List secrets", tag: "secrets", response: schemas.SecretList },
  createSecret: {
    summary: "Create a secret",
    tag: "secrets",
    status: 201,
    body: schemas.SecretWrite,
    response: schemas.SecretInfo,
    conflicts: true,
  },
  getSecret: {
    summary: "Get a secret, without its value",
    tag: "secrets",
    response: schemas.SecretInfo,
    query: { scope },
  },
  updateSecret: {
    summary: "Create a new version of a secret",
    tag: "secrets",
    body: schemas.SecretWrite,
    response: schemas.SecretInfo,
  },
  deleteSecret: {
    summary: "Delete a secret",
    tag: "secrets",
    response: schemas.Empty,
    query: { scope },
    conflicts: true,
  },
  listApiKeys: { summary: "List API keys", tag: "keys", response: schemas.ApiKeyList },
  createApiKey: {
    summary: "Create an API key; only this answer has the key",
    tag: "keys",
    status: 201,
    body: schemas.ApiKeyCreate,
    response: schemas.ApiKeyCreated,
    conflicts: true,
  },
  getApiKey: { summary: "Get an API key, without the key itself", tag: "keys", response: schemas.ApiKeyInfo },
  deleteApiKey: { summary: "Revoke an API key", tag: "keys", response: schemas.Empty, conflicts: true },
  pruneImages: {
    summary: "Remove images that no revision needs",
    tag: "images",
    body: schemas.PruneRequest,
    response: schemas.Pruned,
  },
  listImages: { summary: "List the images that the platform stores", tag: "images", response: schemas.ImageList },
  resolvePackages: {
    summary: "Choose a version for every package of an image; an empty line keeps the connection open",
    tag: "images",
    body: schemas.ResolveRequest,
    response: { lines: schemas.ResolveEvent },
  },
  buildImage: {
    summary: "Build an environment image while the client is connected; an empty line keeps the connection open",
    tag: "images",
    body: schemas.BuildRequest,
    response: { lines: schemas.BuildEvent },
  },
  missingBlobs: {
    summary: "List the blobs that are missing",
    tag: "images",
    body: schemas.DigestList,
    response: schemas.MissingBlobs,
  },
  putBlob: { summary: "Upload a blob", tag: "images", status: 201, response: schemas.Descriptor },
};

/** Every schema of the contract that has a name, for `components.schemas`. */
const named = z.registry<{ id: string }>();
for (const [name, schema] of Object.entries(schemas)) {
  if (!named.has(schema)) named.add(schema, { id: name });
}

/** The whole document. `url` is the platform's origin. */
export function openApiDocument(url: string): Json {
  const paths: Record<string, Json> = {};
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    const { method, path } = endpoints[name];
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name, path) };
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
      schemas: componentSchemas(),
    },
  };
}

function componentSchemas(): Json {
  const uri = (id: string) => `#/components/schemas/${id}`;
  const { schemas: all } = z.toJSONSchema(named, { uri, io: "input", unrepresentable: "any" });
  return Object.fromEntries(Object.entries(all).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]));
}

function operation(name: EndpointName, path: string): Json {
  const { summary, tag, status = 200, body, response, query = {}, headers = {}, open } = descriptions[name];
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, key = ""]) => ({
    name: key,
    in: "path",
    required: true,
    schema: PATH_PARAMETERS[key] ?? pattern(tag === "apps" ? NAMES.app : NAMES.secret),
  }));
  const others = [
    ...Object.entries(query).map(([key, parameter]) => ({ name: key, in: "query", ...parameter })),
    ...Object.entries(headers).map(([key, parameter]) => ({ name: key, in: "header", ...parameter })),
  ];
  const binaryBody = { required: true, content: { "application/octet-stream": {} } };
  const jsonBody = body && { required: true, content: { "application/json": { schema: refTo(body) } } };
  const requestBody = name === "putBlob" ? binaryBody : jsonBody;
  const refusals = refusalsOf(name, path).map((refusal) => [refusal, problem(TITLES[refusal] ?? "A problem")]);
  return {
    operationId: name,
    summary,
    tags: [tag],
    ...(open ? { security: [] } : {}),
    parameters: [...inPath, ...others],
    ...(requestBody ? { requestBody } : {}),
    responses: {
      [status]: { description: "Success", content: contentOf(response) },
      ...Object.fromEntries(refusals),
      default: problem("A problem of the platform"),
    },
  };
}

/** The statuses of 4xx that an endpoint answers with. */
function refusalsOf(name: EndpointName, path: string): number[] {
  const { body, query, headers, conflicts, open } = descriptions[name];
  const hasInput = body !== undefined || query !== undefined || headers !== undefined || path.includes("{");
  return [
    ...(body || name === "putBlob" ? [400] : []),
    ...(open ? [] : [401]),
    403,
    ...(path.includes("{name}") ? [404] : []),
    ...(conflicts ? [409] : []),
    ...(body || name === "putBlob" ? [413] : []),
    ...(body ? [415] : []),
    ...(hasInput ? [422] : []),
  ];
}

function problem(description: string): Json {
  return { description, content: { "application/problem+json": { schema: refTo(schemas.Problem) } } };
}

function contentOf(response: Description["response"]): Json {
  if (response === "json") return { "application/json": {} };
  if ("lines" in response) return { "application/x-ndjson": { schema: refTo(response.lines) } };
  return { "application/json": { schema: refTo(response) } };
}

function refTo(schema: z.core.$ZodType): Json {
  const id = named.get(schema)?.id;
  if (id === undefined) throw new Error("a schema of the API has no name: export it from contract/schemas.ts");
  return { $ref: `#/components/schemas/${id}` };
}
