import { isAbsolute, posix } from "node:path";
import { LOCKFILE_LIST, lockfileNameOf } from "../contract/lockfiles.ts";
import type { AppSpec } from "../contract/types.ts";
import { type Fault, isAppctlError } from "../core/errors.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE } from "../core/registry-address.ts";
import { credentialsHint } from "../core/without-credentials.ts";
import { isRepositoryName, parseImageName } from "../oci/registry/image-name.ts";
import { PLATFORM_NAMES, parsePlatformName, platformText } from "../oci/target.ts";
import { parseSpec } from "../packages/package-spec.ts";
import type { ImageSpecOptions } from "../sdk/options.ts";
import { isRawSdk, type Raw } from "./description.ts";
import { nearest } from "./nearest.ts";
import { describeValue } from "./readable.ts";
import { checkEnvironment } from "./validate-env.ts";

/** What an app's ImageSpec asks for, with its defaults. */
export interface ImageOptions {
  name: string;
  /** As written: `"hono@4.13.19"`, or a name without a version. */
  packages: string[];
  env: Record<string, string>;
  builder: "default" | "remote" | "docker";
  /** What runs on the base while it is built. */
  programs?: { aptPackages: string[]; commands: string[] };
  /** Path of the lock file that the packages come from, relative to the bundle's `root`. */
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

const SUPPORTED = {
  name: true,
  builder: true,
  packages: true,
  env: true,
  requirements: true,
  registry: true,
  baseImage: true,
  nodeVersion: true,
  platform: true,
  copy: true,
  entrypoint: true,
  force: true,
} as const;
/** Options that run programs while the image is built, which the default builder never does. */
const NEEDS_BUILDER = { commands: true, aptPackages: true } as const;
const OPTIONS = Object.keys({ ...SUPPORTED, ...NEEDS_BUILDER } satisfies Record<keyof ImageSpecOptions, true>);

/** Checks `containerImage` and adds what is wrong with it to `faults`. */
export function imageOptions(raw: Raw | undefined, appName: string, faults: Fault[]): ImageOptions {
  const image: ImageOptions = { name: `${appName}-image`, packages: [], env: {}, builder: "default" };
  if (raw === undefined) return image;
  const path = "containerImage";
  const options = isRawSdk(raw, "ImageSpec") ? raw.value : raw;
  if (
    typeof options !== "object" ||
    options === null ||
    Array.isArray(options) ||
    "$odd" in options ||
    isRawSdk(options)
  ) {
    faults.push({ path, message: `must be new ImageSpec({ … }), not ${describeValue(raw)}` });
    return image;
  }
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(SUPPORTED, key)) continue;
    if (Object.hasOwn(NEEDS_BUILDER, key)) {
      if (options["builder"] === "docker") continue;
      const which = options["builder"] === "remote" ? '"remote"' : "the default one";
      const message = `needs a builder that runs programs, and ${which} runs none`;
      const hint =
        'That is builder: "docker", which needs a container engine and a baseImage. npm packages need no builder.';
      faults.push({ path: `${path}.${key}`, message, hint });
      continue;
    }
    const message = "is not an option of ImageSpec";
    const near = nearest(key, OPTIONS);
    faults.push({ path: `${path}.${key}`, message, ...(near ? { hint: `Did you mean "${near}"?` } : {}) });
  }
  const {
    name,
    builder,
    packages,
    requirements,
    env,
    copy,
    entrypoint,
    force,
    registry,
    baseImage,
    nodeVersion,
    platform,
  } = options;
  if (name !== undefined) {
    if (typeof name === "string" && name.length <= 128 && isRepositoryName(name)) image.name = name;
    else {
      const message = `must be lower-case letters and digits with single '-', '_', '.' or '/' between, at most 128 of them, not ${describeValue(name)}`;
      faults.push({ path: `${path}.name`, message });
    }
  }
  if (builder === "remote") image.builder = builder;
  else if (builder !== undefined && builder !== "default" && builder !== "docker") {
    const message = `must be "default", "remote" or "docker", not ${describeValue(builder)}`;
    faults.push({
      path: `${path}.builder`,
      message,
      hint: 'Leave it out, or write "default": appctl builds by itself.',
    });
  }
  if (builder === "docker") {
    image.builder = builder;
    const programs = checkPrograms(options, path, faults);
    if (programs.aptPackages.length + programs.commands.length > 0) image.programs = programs;
  }
  if (packages !== undefined) image.packages = checkPackages(packages, `${path}.packages`, faults);
  if (env !== undefined) image.env = checkEnvironment(env, `${path}.env`, faults);
  if (requirements !== undefined) {
    const file = checkRequirements(requirements, `${path}.requirements`, faults);
    if (file !== undefined) image.requirements = file;
    if (Array.isArray(packages) && packages.length > 0) {
      const message = "cannot stand beside packages: the lock file says which packages there are";
      faults.push({ path: `${path}.requirements`, message, hint: "Add the package to the project of the lock file." });
    }
  }
  if (copy !== undefined) image.copy = checkTexts(copy, `${path}.copy`, 'globs such as ["assets/**"]', faults);
  if (entrypoint !== undefined) {
    image.entrypoint = checkTexts(entrypoint, `${path}.entrypoint`, 'texts such as ["node", "cli.js"]', faults);
    if (Array.isArray(entrypoint) && entrypoint.length === 0)
      faults.push({ path: `${path}.entrypoint`, message: "must not be empty", hint: "Leave it out." });
  }
  if (typeof force === "boolean") image.force = force;
  else if (force !== undefined)
    faults.push({ path: `${path}.force`, message: `must be true or false, not ${describeValue(force)}` });
  if (registry !== undefined) {
    if (typeof registry === "string" && parseRegistryAddress(registry)) image.registry = registry;
    else {
      const hint = typeof registry === "string" ? credentialsHint(registry) : undefined;
      const message = `${REGISTRY_ADDRESS_RULE}, not ${describeValue(registry)}`;
      faults.push({ path: `${path}.registry`, message, ...(hint ? { hint } : {}) });
    }
  }
  if (baseImage !== undefined) {
    if (typeof baseImage === "string") image.baseImage = checkBaseImage(baseImage, `${path}.baseImage`, faults);
    else {
      const message = `must be the name of an image such as "node:22-slim", not ${describeValue(baseImage)}`;
      faults.push({ path: `${path}.baseImage`, message });
    }
  }
  if (nodeVersion !== undefined) {
    const version = checkNodeVersion(nodeVersion, `${path}.nodeVersion`, faults);
    if (version !== undefined) image.nodeVersion = version;
    if (baseImage !== undefined) {
      const message = "cannot stand beside baseImage, which brings its own Node";
      faults.push({ path: `${path}.nodeVersion`, message, hint: "Remove one of them." });
    }
  }
  if (platform !== undefined) {
    const platforms = checkPlatforms(platform, `${path}.platform`, faults);
    if (platforms.length > 0) image.platform = platforms;
  }
  return image;
}

function checkBaseImage(name: string, path: string, faults: Fault[]): string {
  try {
    parseImageName(name);
  } catch (error) {
    if (!isAppctlError(error)) throw error;
    const { message, hint } = error;
    faults.push({ path, message, ...(hint ? { hint } : {}) });
  }
  return name;
}

/** An entry point stands before `args`; the other kinds of apps say themselves what runs. */
export function entrypointFaults({ entrypoint }: ImageOptions, kind: AppSpec["kind"], faults: Fault[]): void {
  if (entrypoint === undefined || kind === "args") return;
  const field = kind === "command" ? "command" : "frameworkApp";
  faults.push({
    path: "containerImage.entrypoint",
    message: `cannot stand beside ${field}, which is what runs`,
    hint: "Remove it, or give the App args: the entry point is what they are handed to.",
  });
}

function checkPlatforms(raw: Raw, path: string, faults: Fault[]): string[] {
  const list = Array.isArray(raw) ? raw : [raw];
  if (list.length === 0) faults.push({ path, message: "must not be empty", hint: "Leave it out." });
  const known: string[] = [];
  list.forEach((item, index) => {
    const at = Array.isArray(raw) ? `${path}[${index}]` : path;
    const parsed = typeof item === "string" ? parsePlatformName(item) : undefined;
    if (!parsed) {
      faults.push({ path: at, message: `must be one of ${PLATFORM_NAMES.join(", ")}, not ${describeValue(item)}` });
      return;
    }
    const name = platformText(parsed);
    if (known.includes(name)) faults.push({ path: at, message: `has ${name} again` });
    else known.push(name);
  });
  return known;
}

/** The oldest Node that bundles run on. */
const OLDEST_NODE = [22, 19] as const;

function checkNodeVersion(raw: Raw, path: string, faults: Fault[]): string | undefined {
  const [, major, minor] = (typeof raw === "string" && /^(\d+)(?:\.(\d+)(?:\.\d+)?)?$/.exec(raw)) || [];
  if (typeof raw !== "string" || major === undefined) {
    faults.push({ path, message: `must be text such as "24" or "24.11.1", not ${describeValue(raw)}` });
    return undefined;
  }
  const [oldest, least] = OLDEST_NODE;
  if (Number(major) < oldest || (Number(major) === oldest && minor !== undefined && Number(minor) < least)) {
    faults.push({ path, message: `must be ${oldest}.${least} or newer, which apps need to run, not ${raw}` });
    return undefined;
  }
  return raw;
}

/** A name as Debian policy has it, with an architecture and a version. */
const APT_PACKAGE = /^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[\w.+:~-]+)?$/;

function checkPrograms({ aptPackages, commands }: { [key: string]: Raw }, path: string, faults: Fault[]) {
  const apt =
    aptPackages === undefined ? [] : checkTexts(aptPackages, `${path}.aptPackages`, 'names such as ["curl"]', faults);
  for (const name of apt) {
    if (APT_PACKAGE.test(name)) continue;
    const message = `has ${JSON.stringify(name)}, which is not the name of a Debian package`;
    faults.push({ path: `${path}.aptPackages`, message, hint: 'A version follows "=": "curl=7.88.1-10".' });
  }
  const run = commands === undefined ? [] : checkTexts(commands, `${path}.commands`, "shell commands", faults);
  return { aptPackages: apt, commands: run };
}

function checkRequirements(raw: Raw, path: string, faults: Fault[]): string | undefined {
  if (typeof raw === "string" && lockfileNameOf(raw) !== undefined) {
    if (!isAbsolute(raw)) return raw;
    const message = "must be relative to the file that has the App";
    faults.push({ path, message, hint: "Other machines have no such path." });
  } else if (typeof raw === "string" && posix.basename(raw) === "bun.lockb") {
    const message = "names a binary lock file, which only bun can read";
    faults.push({ path, message, hint: "bun install --save-text-lockfile writes a bun.lock." });
  } else {
    const message = `must be the path of a ${LOCKFILE_LIST}, not ${describeValue(raw)}`;
    faults.push({ path, message });
  }
  return undefined;
}

function checkTexts(raw: Raw, path: string, what: string, faults: Fault[]): string[] {
  if (!Array.isArray(raw)) {
    faults.push({ path, message: `must be a list of ${what}, not ${describeValue(raw)}` });
    return [];
  }
  return raw.filter((item, index): item is string => {
    if (typeof item === "string" && item !== "" && !item.includes("\0")) return true;
    faults.push({ path: `${path}[${index}]`, message: `must be text, not ${describeValue(item)}` });
    return false;
  });
}

function checkPackages(raw: Raw, path: string, faults: Fault[]): string[] {
  if (!Array.isArray(raw)) {
    faults.push({ path, message: `must be a list of packages such as ["hono@4.13.19"], not ${describeValue(raw)}` });
    return [];
  }
  const seen = new Map<string, number>();
  const packages: string[] = [];
  raw.forEach((item, index) => {
    const at = `${path}[${index}]`;
    const spec = typeof item === "string" ? parseSpec(item) : undefined;
    if (!spec || typeof item !== "string") {
      const message = `must be a package such as "hono" or "hono@4.13.19", not ${describeValue(item)}`;
      faults.push({
        path: at,
        message,
        hint: pythonHint(item) ?? "Paths, URLs and git repositories cannot be listed here.",
      });
      return;
    }
    const before = seen.get(spec.name);
    if (before !== undefined)
      faults.push({ path: at, message: `lists ${spec.name} again: packages[${before}] has it` });
    else packages.push(item.trim());
    seen.set(spec.name, before ?? index);
  });
  return packages;
}

/** People who come from Union write pins as pip does. */
function pythonHint(item: Raw): string | undefined {
  const match = typeof item === "string" ? /^([\w.@/-]+)\s*(?:[=~!<>]=)\s*([\w.]+)$/.exec(item) : null;
  return match ? `npm writes a pin as "${match[1]}@${match[2]}".` : undefined;
}
