/**
 * The shape of an app as the platform gets it, and of the names in it. A file of its own, made with zod's small interface: it
 * is all that a deploy loads of zod, to tell every fault of a file before the platform is asked.
 */

import * as z from "zod/mini";
import { $ZodCheckMaxLength, $ZodCheckMinLength, type ParsePayload } from "zod/v4/core";
import { DNS_LABEL, ENV_NAME } from "./name-patterns.ts";

const named = (pattern: RegExp, message: string) => z.string().check(z.regex(pattern, message));
const noNul = z.refine<string>((value) => !value.includes("\0"), "must not contain a NUL character");

/** zod measures everything that has a `length`, of whatever type that is, and also what has just failed its type. */
const when = ({ value }: ParsePayload) => typeof value === "string" || Array.isArray(value);
const least = (minimum: number) => new $ZodCheckMinLength({ check: "min_length", minimum, when });
const most = (maximum: number) => new $ZodCheckMaxLength({ check: "max_length", maximum, when });

const text = z.string().check(least(1));
const words = text.check(noNul);
const whole = (from: number, to: number) => z.int().check(z.minimum(from), z.maximum(to));
const positive = z.number().check(z.positive("must be more than 0"));
const duration = (longest: number) => positive.check(z.maximum(longest));
const atMost = (length: number) => z.optional(z.string().check(most(length)));

/** Names that requests carry. */
export const Names = {
  appName: named(
    /^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/,
    "must be 1 to 30 lower-case letters, digits and '-', start with a letter and not end with '-'",
  ),
  scopeSegment: named(DNS_LABEL, "must be 1 to 63 lower-case letters, digits and '-'"),
  secretName: named(/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62})$/, "must be 1 to 63 letters, digits, '_', '-' and '.'"),
  envName: named(ENV_NAME, "must be letters, digits and '_', not starting with a digit"),
  digest: named(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hex digits"),
};
const { appName, envName, secretName } = Names;

/** A secret that an app asks for. `envVar` carries the value, or the file's path when `mount` is `"file"`. */
export const SecretRequest = z.strictObject({ key: secretName, envVar: envName, mount: z.enum(["env", "file"]) });

const bytes = (example: string) =>
  z.optional(named(/^[1-9]\d*(?:Ki|Mi|Gi|Ti|k|M|G|T)?$/, `must be a number of bytes such as "512Mi" or "${example}"`));

/**
 * CPU in cores (`"1"`, `"250m"`), memory and storage in bytes with a binary or decimal suffix (`"512Mi"`, `"1Gi"`, `"500M"`).
 */
export const ResourceAmounts = z.strictObject({
  cpu: z.optional(
    named(/^(?:\d+(?:\.\d{1,3})?|[1-9]\d*m)$/, 'must be a number of cores such as "1", "0.5" or "250m"').check(
      z.refine((value) => Number.parseFloat(value) > 0, "must be more than 0"),
    ),
  ),
  mem: bytes("1Gi"),
  ephemeralStorage: bytes("2Gi"),
});

/** What an app may do besides computing, and reading and writing its own files. */
export const Permission = z.enum(["addons", "child-process", "worker"]);

/** An app as the platform gets it: every default filled in, nothing of the user's code in it. */
export const AppSpec = z.strictObject({
  name: appName,
  /** `framework`: the image's own server shim serves the file's `frameworkApp`; `args` and `command` run a program. */
  kind: z.enum(["framework", "args", "command"]),
  args: z.optional(z.array(words).check(least(1))),
  command: z.optional(words),
  port: whole(1, 65535),
  requiresAuth: z.boolean(),
  env: z.record(envName, z.string().check(noNul)),
  secrets: z.array(SecretRequest),
  limits: ResourceAmounts,
  /** Absent: none. Engines that isolate by other means than Node's permission model allow them all. */
  permissions: z.optional(z.array(Permission).check(most(3))),
  minReplicas: whole(0, 1000),
  maxReplicas: whole(1, 1000),
  requestTimeout: duration(86_400),
  startTimeout: duration(3600),
  subdomain: z.optional(named(DNS_LABEL, "must be one DNS label: lower-case letters, digits and '-'")),
  description: atMost(500),
  type: atMost(63),
  links: z.array(z.strictObject({ title: text.check(most(100)), path: text.check(most(2000)) })),
  requests: z.optional(ResourceAmounts),
  scaledownAfter: z.optional(positive),
  scalingMetric: z.optional(
    z.strictObject({ type: z.enum(["concurrency", "request-rate"]), target: z.number().check(z.positive()) }),
  ),
  inputs: z.optional(z.array(z.strictObject({ name: text, value: z.string(), envVar: z.optional(envName) }))),
  customDomain: z.optional(text.check(most(253))),
  sharedMemory: z.optional(text),
  accelerator: z.optional(text),
  clusterPool: z.optional(text),
});
