import { checkKeys, checkOption, memberPath } from "../contract/check-option.ts";
import { IMAGE_OPTIONS } from "../contract/image-options.ts";
import type { AppSpec } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";
import { parseTarget, targetText } from "../oci/target.ts";
import { parseSpec } from "../packages/package-spec.ts";
import { isRawOdd, isRawSdk, type Raw } from "./description.ts";
import { fileContext } from "./file-context.ts";
import { describeValue } from "./readable.ts";

/** What an app's ImageSpec asks for, with its defaults. */
export interface ImageOptions {
  name: string;
  /** As written: `"hono@4.13.19"`, or a name without a version. */
  packages: string[];
  env: Record<string, string>;
  builder: "default" | "remote" | "docker";
  /** What runs on the base while it is built. */
  programs?: { aptPackages: string[]; commands: string[] };
  /** Path of the lockfile that the packages come from, relative to the bundle's `root`. */
  requirements?: string;
  /** Globs of files that go into the environment image, relative to the bundle's `root`. */
  copy?: string[];
  /** What the app's `args` are handed to. */
  entrypoint?: string[];
  /** Build it even when it exists. */
  force?: boolean;
  /** Registry and prefix that the image goes to, as written. */
  registry?: string;
  /** Name of the base image, as written. */
  baseImage?: string;
  /** What it is for, each once: `linux/amd64`. */
  platform?: string[];
  /** Version of Node in the base, where that is not named. */
  nodeVersion?: string;
}

/** Options that run programs while the image is built, which only the builder `docker` does. */
const PROGRAMS = ["commands", "aptPackages"] as const;

/** Checks `containerImage` and adds what is wrong with it to `faults`. */
export function imageOptions(raw: Raw | undefined, appName: string, faults: Fault[]): ImageOptions {
  const image: ImageOptions = { name: `${appName}-image`, packages: [], env: {}, builder: "default" };
  if (raw === undefined) return image;
  const path = "containerImage";
  const options = isRawSdk(raw, "ImageSpec") ? raw.value : raw;
  const isPlain = typeof options === "object" && options !== null && !Array.isArray(options);
  if (!isPlain || isRawOdd(options) || isRawSdk(options)) {
    faults.push({ path, message: `must be new ImageSpec({ … }), not ${describeValue(raw)}` });
    return image;
  }
  const context = fileContext(faults);
  checkKeys(options, IMAGE_OPTIONS, "ImageSpec", path, context);
  const checked: Partial<Record<keyof typeof IMAGE_OPTIONS, unknown>> = {};
  for (const [key, option] of Object.entries(IMAGE_OPTIONS)) {
    const value = checkOption(option, options[key], memberPath(path, key), context);
    if (value !== undefined) checked[key as keyof typeof IMAGE_OPTIONS] = value;
  }
  const { commands = [], aptPackages = [], ...given } = checked;
  Object.assign(image, given);
  const programs = { aptPackages, commands } as NonNullable<ImageOptions["programs"]>;
  const runsPrograms = programs.aptPackages.length + programs.commands.length > 0;
  if (image.builder === "docker" && runsPrograms) image.programs = programs;
  if (image.platform) image.platform = distinctTargets(image.platform, `${path}.platform`, faults);
  distinctPackages(image.packages, `${path}.packages`, faults);
  if (options["builder"] !== "docker") programFaults(options, path, faults);
  combinationFaults(options, path, faults);
  return image;
}

function programFaults(options: Record<string, Raw>, path: string, faults: Fault[]): void {
  const builder = options["builder"] === "remote" ? '"remote"' : '"default"';
  for (const key of PROGRAMS) {
    if (options[key] === undefined) continue;
    const message = `needs a builder that runs programs, and builder ${builder} runs none`;
    const hint = 'use builder: "docker", which needs a container engine and a baseImage; npm packages need no builder';
    faults.push({ path: `${path}.${key}`, message, hint });
  }
}

function combinationFaults(options: Record<string, Raw>, path: string, faults: Fault[]): void {
  const { packages, requirements, nodeVersion, baseImage } = options;
  if (requirements !== undefined && Array.isArray(packages) && packages.length > 0) {
    const message = "cannot be combined with packages: the lockfile lists the packages";
    faults.push({ path: `${path}.requirements`, message, hint: "add the package to the project of the lockfile" });
  }
  if (nodeVersion !== undefined && baseImage !== undefined) {
    const message = "cannot be combined with baseImage, which has its own Node";
    faults.push({ path: `${path}.nodeVersion`, message, hint: "remove one of them" });
  }
}

/** An entry point gets the `args`; apps of another kind say themselves what runs. */
export function entrypointFaults({ entrypoint }: ImageOptions, kind: AppSpec["kind"], faults: Fault[]): void {
  if (entrypoint === undefined || kind === "args") return;
  const field = kind === "command" ? "command" : "frameworkApp";
  faults.push({
    path: "containerImage.entrypoint",
    message: `cannot be combined with ${field}`,
    hint: "remove it, or give the App args: the entry point is the program that gets them",
  });
}

/** The targets as OCI writes them, each once. Faulty ones are passed over: they have their faults already. */
function distinctTargets(list: (string | undefined)[], path: string, faults: Fault[]): string[] {
  const names = list.map((item) => {
    const target = item === undefined ? undefined : parseTarget(item);
    return target && targetText(target);
  });
  names.forEach((name, index) => {
    if (name !== undefined && names.indexOf(name) < index)
      faults.push({ path: memberPath(path, index), message: `has ${name} again` });
  });
  return [...new Set(names)].filter((name) => name !== undefined);
}

function distinctPackages(list: (string | undefined)[], path: string, faults: Fault[]): void {
  const names = list.map((item) => (item === undefined ? undefined : parseSpec(item)?.name));
  names.forEach((name, index) => {
    const first = names.indexOf(name);
    if (name === undefined || first === index) return;
    faults.push({ path: memberPath(path, index), message: `lists ${name} again: packages[${first}] has it` });
  });
}
