/** A described App → the spec that the platform gets, or everything that is wrong with it. */
import { APP_OPTIONS } from "../contract/app-options.ts";
import { APP_SPEC } from "../contract/app-spec.ts";
import { checkKeys, checkOption } from "../contract/check-option.ts";
import type { AppSpec, Permission } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";
import type { FrameworkKind } from "../sdk/framework.ts";
import type { Raw, RawApp } from "./description.ts";
import { fileContext } from "./file-context.ts";
import { dependencyNames } from "./validate-dependencies.ts";
import { entrypointFaults, type ImageOptions, imageOptions } from "./validate-image.ts";
import { checkSecrets, variableFaults } from "./validate-secrets.ts";

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
  /** Names of the Apps that it depends on, as far as they are known. */
  dependencies: string[];
  app?: LoadedApp;
}

/**
 * Checks `raw`, one of the Apps `all` of a file. `needed` is what the file's code has to be permitted when the App itself says
 * nothing about it. Never throws.
 */
export function validateApp(raw: RawApp, all: readonly RawApp[], needed: readonly Permission[] = []): Checked {
  const { options } = raw;
  const faults: Fault[] = [];
  const context = fileContext(faults);
  checkKeys(options, APP_OPTIONS, "App", "", context);
  const name = typeof options["name"] === "string" ? options["name"] : "";
  const image = imageOptions(options["containerImage"], name, faults);
  const kind = kindOf(raw, faults);
  const secrets = checkSecrets(options["secrets"], context);
  const dependencies = dependencyNames(options["dependencies"], all, all.indexOf(raw), faults);
  const spec: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(APP_SPEC.fields)) {
    if (key === "kind") spec[key] = kind;
    else if (key === "secrets") spec[key] = secrets.map(({ index: _, ...secret }) => secret);
    else {
      const value = checkOption(option, options[key], key, context);
      if (value !== undefined) spec[key] = value;
    }
  }
  const isServed = kind === "framework";
  if (spec["permissions"] === undefined && isServed && needed.length > 0) spec["permissions"] = [...needed];
  const include = checkOption(APP_OPTIONS.include, options["include"], "include", context) as string[] | undefined;
  variableFaults((spec["env"] as AppSpec["env"] | undefined) ?? {}, secrets, options["inputs"], faults);
  replicaFaults(options, faults);
  if (raw.framework || options["command"] !== undefined) entrypointFaults(image, kind, faults);
  if (faults.length > 0) return { name, faults, dependencies };
  const app: LoadedApp = { spec: spec as AppSpec, image, include: include ?? [], dependencies };
  const framework = raw.framework?.kind;
  const served = framework === undefined || framework === "unknown" ? app : { ...app, frameworkKind: framework };
  return { name, faults, dependencies, app: served };
}

function kindOf({ options, framework }: RawApp, faults: Fault[]): AppSpec["kind"] {
  const given = [framework && "frameworkApp", ...["args", "command"].filter((key) => options[key] !== undefined)];
  const ways = given.filter((key) => key !== undefined);
  if (ways.length === 0) {
    const message = "is missing: give one of frameworkApp, args and command";
    faults.push({ path: "frameworkApp", message, hint: "frameworkApp is the web app itself: frameworkApp: app" });
  }
  if (ways.length > 1) {
    const message = `cannot be combined with ${ways.slice(0, -1).join(" and ")}: give exactly one of frameworkApp, args and command`;
    faults.push({ path: ways.at(-1) ?? "", message });
  }
  if (framework?.kind === "unknown") {
    const message = "cannot answer HTTP";
    const accepted =
      "give an object with fetch(request) (Hono, Elysia, h3), a (req, res) listener (Express) or a Fastify instance";
    faults.push({ path: "frameworkApp", message, hint: framework.hint ?? accepted });
  }
  if (ways[0] === "args" || ways[0] === "command") return ways[0];
  return "framework";
}

function replicaFaults(options: Record<string, Raw>, faults: Fault[]): void {
  const { minReplicas: min = 0, maxReplicas: max = 1 } = options;
  if (typeof min !== "number" || typeof max !== "number" || min <= max) return;
  const byDefault = options["maxReplicas"] === undefined ? " (the default)" : "";
  const message = `must not be more than maxReplicas, which is ${max}${byDefault}`;
  faults.push({ path: "minReplicas", message, hint: `set maxReplicas to ${min} or more` });
}
