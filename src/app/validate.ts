/** A described App → the spec that the platform gets, or everything that is wrong with it. */
import type { z } from "zod";
import type * as schemas from "../contract/app-spec.ts";
import type { AppSpec, Permission } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";
import type { AppOptions } from "../sdk/app.ts";
import type { FrameworkKind } from "../sdk/framework.ts";
import { isRawOdd, isRawSdk, type Raw, type RawApp } from "./description.ts";
import { parseDuration } from "./duration.ts";
import { nearest } from "./nearest.ts";
import { describeValue, issueMessage, pathText } from "./readable.ts";
import { dependencyNames } from "./validate-dependencies.ts";
import { checkEnvironment } from "./validate-env.ts";
import { entrypointFaults, type ImageOptions, imageOptions } from "./validate-image.ts";
import { type Secrets, secretRequests, variableFaults } from "./validate-secrets.ts";

/** An App that can be deployed. */
export interface LoadedApp {
  spec: AppSpec;
  image: ImageOptions;
  /** Globs of files to ship, relative to the bundle's `root`. */
  include: string[];
  /** How the server shim serves it; undefined for `args` and `command` apps. */
  frameworkKind?: Exclude<FrameworkKind, "unknown">;
  /** Names of the Apps that are deployed before this one. */
  dependencies: string[];
}

/** What came of checking one App: `app` is there exactly when `faults` is empty. */
export interface Checked {
  /** The name as given, `""` when there is none. */
  name: string;
  faults: Fault[];
  /** Names of the Apps that it depends on, as far as they could be told. */
  dependencies: string[];
  app?: LoadedApp;
}

/** Names of the options of an App. */
export const OPTIONS = Object.keys({
  name: true,
  frameworkApp: true,
  args: true,
  command: true,
  secrets: true,
  containerImage: true,
  limits: true,
  requests: true,
  permissions: true,
  port: true,
  requiresAuth: true,
  env: true,
  include: true,
  minReplicas: true,
  maxReplicas: true,
  scaledownAfter: true,
  scalingMetric: true,
  inputs: true,
  dependencies: true,
  subdomain: true,
  customDomain: true,
  links: true,
  description: true,
  type: true,
  requestTimeout: true,
  startTimeout: true,
  sharedMemory: true,
  accelerator: true,
  clusterPool: true,
} satisfies Record<keyof AppOptions, true>);

/** Names of the options inside of an option, for "did you mean". */
const NESTED: Record<string, string[]> = {
  limits: ["cpu", "mem", "ephemeralStorage"],
  requests: ["cpu", "mem", "ephemeralStorage"],
  secrets: ["key", "envVar", "mount"],
  links: ["title", "path"],
  inputs: ["name", "value", "envVar"],
  scalingMetric: ["type", "target"],
};

/**
 * Checks `raw`, one of the Apps `all` of a file. `AppSpec` is the schema of that name; `needed` is what the file's code has to
 * be permitted when the App itself says nothing about it. Never throws.
 */
export function validateApp(
  raw: RawApp,
  all: readonly RawApp[],
  { AppSpec }: typeof schemas,
  needed: readonly Permission[] = [],
): Checked {
  const { options } = raw;
  const faults: Fault[] = [];
  for (const key of Object.keys(options)) {
    if (OPTIONS.includes(key)) continue;
    faults.push(unknownOption(pathText([key]), "App", nearest(key, OPTIONS)));
  }
  const name = typeof options["name"] === "string" ? options["name"] : "";
  const image = imageOptions(options["containerImage"], name, faults);
  const secrets = secretRequests(options["secrets"], faults);
  const candidate = {
    ...pick(options, [
      "name",
      "args",
      "command",
      "scalingMetric",
      "inputs",
      "subdomain",
      "customDomain",
      "description",
    ]),
    ...pick(options, ["type", "sharedMemory", "accelerator", "clusterPool"]),
    kind: kindOf(raw, faults),
    port: options["port"] ?? 8080,
    requiresAuth: options["requiresAuth"] ?? true,
    env: options["env"] === undefined ? {} : checkEnvironment(options["env"], "env", faults),
    secrets: secrets.requests,
    limits: options["limits"] === undefined ? {} : amounts(options["limits"]),
    ...(options["requests"] === undefined ? {} : { requests: amounts(options["requests"]) }),
    minReplicas: options["minReplicas"] ?? 0,
    maxReplicas: options["maxReplicas"] ?? 1,
    links: options["links"] ?? [],
    requestTimeout: duration(options, "requestTimeout", faults) ?? 300,
    startTimeout: duration(options, "startTimeout", faults) ?? 120,
    ...permissions(raw, needed),
    ...pick({ scaledownAfter: duration(options, "scaledownAfter", faults) }, ["scaledownAfter"]),
  };
  const parsed = AppSpec.safeParse(withoutMarks(candidate));
  for (const issue of parsed.error?.issues ?? []) faults.push(...issueFaults(issue, candidate, secrets.places));
  variableFaults(candidate.env, secrets, options["inputs"], faults);
  replicaFaults(options, faults);
  if (raw.framework || options["command"] !== undefined) entrypointFaults(image, candidate.kind, faults);
  const include = texts(options["include"], "include", faults);
  const dependencies = dependencyNames(options["dependencies"], all, all.indexOf(raw), faults);
  if (faults.length > 0 || !parsed.success) return { name, faults, dependencies };
  const kind = raw.framework?.kind;
  const app: LoadedApp = { spec: parsed.data, image, include, dependencies };
  const served = kind === undefined || kind === "unknown" ? app : { ...app, frameworkKind: kind };
  return { name, faults, dependencies, app: served };
}

/** Marked values become symbols: no schema takes one, so each is a fault of the right kind at its own place. */
function withoutMarks(value: unknown): unknown {
  if (isRawOdd(value) || isRawSdk(value)) return Symbol();
  if (Array.isArray(value)) return value.map(withoutMarks);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutMarks(item)]));
}

function pick(from: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));
}

function unknownOption(path: string, owner: string, near: string | undefined): Fault {
  return { path, message: `is not an option of ${owner}`, ...(near ? { hint: `Did you mean "${near}"?` } : {}) };
}

function kindOf({ options, framework }: RawApp, faults: Fault[]): AppSpec["kind"] {
  const given = [framework && "frameworkApp", ...["args", "command"].filter((key) => options[key] !== undefined)];
  const ways = given.filter((key) => key !== undefined);
  if (ways.length === 0) {
    const message = "is missing: give one of frameworkApp, args and command";
    faults.push({ path: "frameworkApp", message, hint: "frameworkApp is the web app itself: frameworkApp: app" });
  }
  if (ways.length > 1) {
    const message = `cannot stand beside ${ways.slice(0, -1).join(" and ")}: give exactly one of frameworkApp, args and command`;
    faults.push({ path: ways.at(-1) ?? "", message });
  }
  if (framework?.kind === "unknown") {
    const message = "is nothing that can answer HTTP";
    const accepted =
      "It can be an object with fetch(request) (Hono, Elysia, h3), a (req, res) listener (Express) or a Fastify instance.";
    faults.push({ path: "frameworkApp", message, hint: framework.hint ?? accepted });
  }
  if (ways[0] === "args" || ways[0] === "command") return ways[0];
  return "framework";
}

/** What the App says of its permissions; a `frameworkApp` that says nothing gets what its code imports. */
function permissions({ options }: RawApp, needed: readonly Permission[]): { permissions?: unknown } {
  const given = options["permissions"];
  if (given !== undefined) return { permissions: given };
  const isServed = options["args"] === undefined && options["command"] === undefined;
  return isServed && needed.length > 0 ? { permissions: [...needed] } : {};
}

/** `new Resources({ … })` or its options; a number of cores or bytes may be given as a number. */
function amounts(raw: Raw): unknown {
  const value = isRawSdk(raw, "Resources") ? raw.value : raw;
  if (typeof value !== "object" || value === null || Array.isArray(value) || isRawOdd(value) || isRawSdk(value))
    return value;
  const text = ([key, amount]: [string, Raw]) => [key, typeof amount === "number" ? String(amount) : amount];
  return Object.fromEntries(Object.entries(value).map(text));
}

function duration(options: Record<string, Raw>, path: string, faults: Fault[]): number | undefined {
  const value = options[path];
  if (value === undefined) return undefined;
  const seconds = parseDuration(value);
  if (seconds === undefined) {
    faults.push({
      path,
      message: `must be seconds, or a text such as "90s", "10m" or "500ms", not ${describeValue(value)}`,
    });
  }
  return seconds;
}

function issueFaults(issue: z.core.$ZodIssue, candidate: object, places: Secrets["places"]): Fault[] {
  const [head, at, ...rest] = issue.path;
  const place = head === "secrets" && typeof at === "number" ? places[at] : undefined;
  const path = pathText(place && head !== undefined ? [head, place.index, ...rest] : issue.path);
  if (issue.code === "unrecognized_keys") {
    const owner = { limits: "Resources", requests: "Resources", secrets: "Secret" }[String(head)] ?? String(head);
    return issue.keys.map((key) => unknownOption(`${path}.${key}`, owner, nearest(key, NESTED[String(head)] ?? [])));
  }
  const value = issue.path.reduce<unknown>(
    (from, key) => (from as Record<PropertyKey, unknown> | undefined)?.[key],
    candidate,
  );
  if (place && rest[0] === "envVar" && !place.ownVar) {
    // Without a key there is no default variable either; one fault is enough for that.
    if (value === undefined) return [];
    return [
      {
        path,
        message: `would be ${describeValue(value)}, which is no name of a variable`,
        hint: "Give the Secret an envVar.",
      },
    ];
  }
  return [{ path, message: issueMessage(issue, value) }];
}

function replicaFaults(options: Record<string, Raw>, faults: Fault[]): void {
  const { minReplicas: min = 0, maxReplicas: max = 1 } = options;
  if (typeof min !== "number" || typeof max !== "number" || min <= max) return;
  const byDefault = options["maxReplicas"] === undefined ? " (the default)" : "";
  const message = `must not be more than maxReplicas, which is ${max}${byDefault}`;
  faults.push({ path: "minReplicas", message, hint: `Set maxReplicas to ${min} or more.` });
}

function texts(raw: Raw | undefined, path: string, faults: Fault[]): string[] {
  if (raw === undefined) return [];
  if (!Array.isArray(raw)) {
    faults.push({ path, message: `must be a list of texts, not ${describeValue(raw)}` });
    return [];
  }
  return raw.filter((item, index): item is string => {
    if (typeof item === "string" && item !== "") return true;
    faults.push({ path: `${path}[${index}]`, message: `must be text, not ${describeValue(item)}` });
    return false;
  });
}
