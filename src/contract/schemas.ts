/**
 * The wire shapes of the deployment API, as zod schemas. The platform checks requests with them, the OpenAPI document is
 * made from them, and the client takes its types from them (type-only, so that a command does not load zod for a call).
 * Times are ISO 8601 in UTC; durations are seconds; digests are `sha256:` and 64 hex digits.
 */
import * as z from "zod";

const appName = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/,
    "must be 1 to 30 lower-case letters, digits and '-', start with a letter and not end with '-'",
  );
const scopeSegment = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 lower-case letters, digits and '-'");
const envName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be letters, digits and '_', not starting with a digit");
const secretName = z
  .string()
  .regex(/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62})$/, "must be 1 to 63 letters, digits, '_', '-' and '.'");
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hex digits");
const envValue = z.string().refine((value) => !value.includes("\0"), "must not contain a NUL character");
const time = z.iso.datetime();

/** Names that the path of a request carries. */
export const Names = { appName, scopeSegment, secretName, envName, digest };

/** A secret that an app asks for. `envVar` carries the value, or the file's path when `mount` is `"file"`. */
export const SecretRequest = z.strictObject({ key: secretName, envVar: envName, mount: z.enum(["env", "file"]) });

const BYTES = /^[1-9]\d*(?:Ki|Mi|Gi|Ti|k|M|G|T)?$/;

/**
 * CPU in cores (`"1"`, `"250m"`), memory and storage in bytes with a binary or decimal suffix (`"512Mi"`, `"1Gi"`, `"500M"`).
 */
export const ResourceAmounts = z.strictObject({
  cpu: z
    .string()
    .regex(/^(?:\d+(?:\.\d{1,3})?|[1-9]\d*m)$/, 'must be a number of cores such as "1", "0.5" or "250m"')
    .refine((value) => Number.parseFloat(value) > 0, "must be more than 0")
    .optional(),
  mem: z.string().regex(BYTES, 'must be a number of bytes such as "512Mi" or "1Gi"').optional(),
  ephemeralStorage: z.string().regex(BYTES, 'must be a number of bytes such as "512Mi" or "2Gi"').optional(),
});

/** What an app may do besides computing, and reading and writing its own files. */
export const Permission = z.enum(["addons", "child-process", "worker"]);

const duration = z.number().positive("must be more than 0");

/** An app as the platform gets it: every default filled in, nothing of the user's code in it. */
export const AppSpec = z.strictObject({
  name: appName,
  /** `framework`: the image's own server shim serves the file's `frameworkApp`; `args` and `command` run a program. */
  kind: z.enum(["framework", "args", "command"]),
  args: z
    .array(
      z
        .string()
        .min(1)
        .refine((v) => !v.includes("\0"), "must not contain a NUL character"),
    )
    .min(1)
    .optional(),
  command: z
    .string()
    .min(1)
    .refine((v) => !v.includes("\0"), "must not contain a NUL character")
    .optional(),
  port: z.number().int().min(1).max(65535),
  requiresAuth: z.boolean(),
  env: z.record(envName, envValue),
  secrets: z.array(SecretRequest),
  limits: ResourceAmounts,
  /** Absent: none. Engines that isolate by other means than Node's permission model allow them all. */
  permissions: z.array(Permission).max(3).optional(),
  minReplicas: z.number().int().min(0).max(1000),
  maxReplicas: z.number().int().min(1).max(1000),
  requestTimeout: duration.max(86_400),
  startTimeout: duration.max(3600),
  subdomain: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "must be one DNS label: lower-case letters, digits and '-'")
    .optional(),
  description: z.string().max(500).optional(),
  type: z.string().max(63).optional(),
  links: z.array(z.strictObject({ title: z.string().min(1).max(100), path: z.string().min(1).max(2000) })),
  requests: ResourceAmounts.optional(),
  scaledownAfter: duration.optional(),
  scalingMetric: z
    .strictObject({ type: z.enum(["concurrency", "request-rate"]), target: z.number().positive() })
    .optional(),
  inputs: z
    .array(z.strictObject({ name: z.string().min(1), value: z.string(), envVar: envName.optional() }))
    .optional(),
  customDomain: z.string().min(1).max(253).optional(),
  sharedMemory: z.string().min(1).optional(),
  accelerator: z.string().min(1).optional(),
  clusterPool: z.string().min(1).optional(),
});

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

/** What stands in the way of a deploy before anything is built. Empty lists: nothing does. */
export const CheckResult = z.object({
  faults: z.array(Fault),
  missingSecrets: z.array(z.string()),
  warnings: z.array(z.string()),
  /** Host and port that stand before the names of images that the platform stores. */
  registry: z.string(),
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

/** Why a revision failed. `code` comes from the catalogue in `engine/causes.ts`; `location` is in the user's own file. */
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
  z.object({ ...eventBase, type: z.literal("failed"), revision: z.string(), cause: FailureCause }),
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

/** What can be told of a secret: never its value. `fingerprint` is keyed by the platform, so it cannot be guessed. */
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

export const DigestList = z.strictObject({ digests: z.array(digest).min(1).max(1000) });
export const MissingBlobs = z.object({ missing: z.array(z.string()) });
export const TagWrite = z.strictObject({ reference: z.string().min(3).max(512), digest });
export const Descriptor = z.object({ mediaType: z.string(), digest: z.string(), size: z.number().int() });

/** Open to everyone; `proof` is an HMAC of `?nonce=`, which tells the CLI that this is the platform it started. */
export const Health = z.object({ service: z.literal("appctl"), version: z.string(), proof: z.string().nullable() });

export const PlatformStatus = z.object({
  service: z.literal("appctl"),
  version: z.string(),
  pid: z.number().int(),
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
