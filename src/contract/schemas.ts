/**
 * The wire shapes of the deployment API, as zod schemas. The platform checks requests with them, the OpenAPI document is
 * made from them, and the client takes its types from them (type-only, so that a command does not load zod for a call).
 * Times are ISO 8601 in UTC; durations are seconds; digests are `sha256:` and 64 hex digits.
 */
import * as z from "zod";

import { APP_SPEC, checkAppSpec } from "./app-spec.ts";
import { Names } from "./names.ts";
import { jsonSchemaOf } from "./option-schema.ts";

export { BuildEvent, BuildRequest, ResolvedPackages, ResolveEvent, ResolveRequest } from "./remote-build.ts";

const { digest, scopeSegment, secretName } = Names;
const time = z.iso.datetime();

/** An app as the platform gets it. The option tables describe and check it. */
export const AppSpec = z
  .unknown()
  .transform((value, context) => {
    const { spec, faults } = checkAppSpec(value);
    for (const { path, message } of faults) context.addIssue({ code: "custom", path: path ? [path] : [], message });
    return spec ?? z.NEVER;
  })
  .meta(jsonSchemaOf(APP_SPEC));

/** One thing that is wrong with a request; `path` names the field. */
export const Fault = z.object({ path: z.string(), message: z.string(), hint: z.string().optional() });

/** An RFC 9457 problem (`application/problem+json`); `code` is stable, `faults` lists every fault of the input. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  hint: z.string().optional(),
  faults: z.array(Fault).optional(),
});

export const CheckRequest = z.strictObject({ spec: AppSpec });

/** Problems of a deploy, found before anything is built. Empty lists: there are none. */
export const CheckResult = z.object({
  faults: z.array(Fault),
  missingSecrets: z.array(z.string()),
  warnings: z.array(z.string()),
  /** Host and port that stand before the names of images that the platform stores. */
  registry: z.string(),
  /** An image has to stand on a base with Node, since a container gets nothing from the machine. */
  needsBase: z.boolean(),
  /** What images have to be for: `linux/amd64`. Absent when they can be for several. */
  platform: z.string().optional(),
});

export const ImageReference = z.strictObject({ reference: z.string().min(1).max(512), digest });
export const ApplyRequest = z.strictObject({ spec: AppSpec, image: ImageReference });

/** An accepted deploy. `id` counts from 1 for each app; its events are at `…/deployments/{id}/events`. */
export const Deployment = z.object({
  id: z.number().int().positive(),
  project: z.string(),
  domain: z.string(),
  app: z.string(),
  revision: z.string(),
  unchanged: z.boolean(),
  consoleUrl: z.string(),
  endpoint: z.string(),
});

export const LogLine = z.object({
  time,
  replica: z.string(),
  revision: z.string(),
  stream: z.enum(["stdout", "stderr"]),
  line: z.string(),
});

/**
 * Why a revision failed. `code` comes from the table in `engine/causes.ts`. `stack` has frames, innermost first, and
 * `location` is in the user's own file; both are relative to the folder of the deployed file. `logs` are the last lines
 * of output that say something that the message does not.
 */
export const FailureCause = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  exitCode: z.number().int().optional(),
  signal: z.string().optional(),
  stack: z.array(z.string()).optional(),
  location: z.object({ file: z.string(), line: z.number().int(), column: z.number().int() }).optional(),
  logs: z.array(LogLine).optional(),
});

const eventBase = { v: z.literal(1), seq: z.number().int().positive(), time };

/** One event of a deployment's log. `seq` counts from 1 without gaps; `succeeded` and `failed` are terminal. */
export const DeploymentEvent = z.discriminatedUnion("type", [
  z.object({
    ...eventBase,
    type: z.literal("status"),
    phase: z.enum(["Pending", "Started", "Failed"]),
    reason: z.string(),
    message: z.string(),
  }),
  z.object({
    ...eventBase,
    type: z.literal("succeeded"),
    endpoint: z.string(),
    revision: z.string(),
    image: z.string(),
    digest: z.string(),
    unchanged: z.boolean(),
  }),
  z.object({
    ...eventBase,
    type: z.literal("failed"),
    revision: z.string(),
    cause: FailureCause,
    /** The revision that serves after the failure; null when none does. */
    serving: z.string().nullable().optional(),
  }),
]);

export const EventPage = z.object({ deployment: Deployment, events: z.array(DeploymentEvent), done: z.boolean() });

export const ReplicaStatus = z.object({
  name: z.string(),
  revision: z.string(),
  state: z.enum(["Starting", "Ready", "Draining", "BackOff"]),
  restarts: z.number().int(),
  startedAt: time.nullable(),
  pid: z.number().int().nullable(),
  lastExit: z.string().nullable(),
});

/** An app as `get apps` shows it. `status` is one word; `message` says more where there is more to say. */
export const AppStatus = z.object({
  project: z.string(),
  domain: z.string(),
  name: z.string(),
  status: z.enum(["Deploying", "Running", "Crashing", "Stopped", "Failed"]),
  message: z.string(),
  revision: z.string().nullable(),
  image: z.string().nullable(),
  digest: z.string().nullable(),
  endpoint: z.string(),
  consoleUrl: z.string(),
  requiresAuth: z.boolean(),
  description: z.string().nullable(),
  type: z.string().nullable(),
  links: z.array(z.object({ title: z.string(), path: z.string() })),
  replicas: z.array(ReplicaStatus),
  deployment: z.number().int().nullable(),
  createdAt: time,
  updatedAt: time,
});
/** Projects with apps or secrets, and the domains of each that have some. */
export const ProjectList = z.object({
  projects: z.array(z.object({ name: z.string(), domains: z.array(z.string()) })),
});
export const AppList = z.object({ apps: z.array(AppStatus) });

export const Revision = z.object({
  name: z.string(),
  image: z.string(),
  digest: z.string(),
  state: z.enum(["Pending", "Ready", "Failed"]),
  active: z.boolean(),
  createdAt: time,
  secrets: z.array(z.object({ key: z.string(), version: z.number().int() })),
});
export const RevisionList = z.object({ revisions: z.array(Revision) });
export const TrafficRequest = z.strictObject({ revision: z.string().min(1).optional() });

/** Where a secret is seen: one project and domain, a domain of every project, or everywhere. The narrowest wins. */
export const SecretScope = z.enum(["project", "domain", "organization"]);

/** `value` is base64 of the exact bytes, 1 byte to 1 MiB. `binary` allows bytes that no environment variable can hold. */
export const SecretWrite = z.strictObject({
  name: secretName,
  scope: SecretScope,
  value: z.base64().max(1_500_000),
  binary: z.boolean().optional(),
});

/** What the API shows of a secret: never its value. `fingerprint` is keyed by the platform, so it cannot be guessed. */
export const SecretInfo = z.object({
  name: z.string(),
  scope: SecretScope,
  version: z.number().int(),
  bytes: z.number().int(),
  fingerprint: z.string(),
  createdAt: time,
  updatedAt: time,
  usedBy: z.array(z.string()),
});
export const SecretList = z.object({ secrets: z.array(SecretInfo) });

export const ApiKeyCreate = z.strictObject({
  name: secretName,
  kind: z.literal("admin"),
  /** Also store the key as a secret of that name in this project and domain. */
  secret: z.strictObject({ project: scopeSegment, domain: scopeSegment, name: secretName }).optional(),
});
export const ApiKeyInfo = z.object({
  name: z.string(),
  kind: z.literal("admin"),
  /** The first characters, enough to recognise it, useless for guessing it. */
  hint: z.string(),
  createdAt: time,
  lastUsedAt: time.nullable(),
});
export const ApiKeyCreated = ApiKeyInfo.extend({ key: z.string(), storedAs: z.string().nullable() });
export const ApiKeyList = z.object({ keys: z.array(ApiKeyInfo) });

/** A named image of the platform's store. `size` counts the bytes of all its content, null when its manifest cannot be read. */
export const ImageInfo = z.object({
  repository: z.string(),
  tag: z.string(),
  digest: z.string(),
  size: z.number().int().nullable(),
  createdAt: time.nullable(),
  revisions: z.array(
    z.object({
      project: z.string(),
      domain: z.string(),
      app: z.string(),
      revision: z.string(),
      active: z.boolean(),
    }),
  ),
});
/** `dryRun`: only say what would go. */
export const PruneRequest = z.strictObject({ dryRun: z.boolean().optional() });

/** Names of images that no revision needs and that are gone, or would go; and how much that is, with content that has no name. */
export const Pruned = z.object({ images: z.array(z.string()), blobs: z.number().int(), bytes: z.number().int() });

export const ImageList = z.object({ images: z.array(ImageInfo) });

export const DigestList = z.strictObject({ digests: z.array(digest).min(1).max(1000) });
export const MissingBlobs = z.object({ missing: z.array(z.string()) });
export const Descriptor = z.object({ mediaType: z.string(), digest: z.string(), size: z.number().int() });

/** Open to everyone; `proof` is an HMAC of `?nonce=`, which tells the CLI that this is the platform it started. */
export const Health = z.object({ service: z.literal("appctl"), version: z.string(), proof: z.string().nullable() });

export const PlatformStatus = z.object({
  service: z.literal("appctl"),
  version: z.string(),
  pid: z.number().int(),
  /** The process that starts the platform again when it ends unasked; absent where there is none. */
  supervisorPid: z.number().int().optional(),
  /** Version of appctl that the supervisor is of: an upgrade keeps it. */
  supervisorVersion: z.string().optional(),
  gatewayPids: z.array(z.number().int()).optional(),
  /** The last times that it did so. */
  restarts: z.array(z.object({ process: z.string(), at: time, reason: z.string() })).optional(),
  url: z.string(),
  engine: z.string(),
  runtime: z.string(),
  stateDirectory: z.string(),
  startedAt: time,
  node: z.string(),
  apps: z.number().int(),
  limits: z.object({ cpu: z.string(), mem: z.string(), tasks: z.string(), storage: z.string() }),
  isolation: z.string(),
});

export const ConsoleLinkRequest = z.strictObject({ path: z.string().startsWith("/console").max(500) });
export const ConsoleLink = z.object({ url: z.string(), expiresAt: time });
export const Empty = z.object({});
