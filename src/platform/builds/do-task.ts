/** What a task comes to: packages get their versions, and environment images are built, after a request of a client. */
import { basename, join, parse } from "node:path";
import type { BuildRequest, ResolveRequest } from "../../contract/types.ts";
import { type AppctlError, isAppctlError, usageError } from "../../core/errors.ts";
import type { BuildProgress } from "../../core/events.ts";
import {
  buildEnvironment,
  type EnvironmentContext,
  type EnvironmentSpec,
  planFor,
  type ResolvedEnvironment,
  resolveEnvironment,
} from "../../image/environment-image.ts";
import { foreignPackages } from "../../packages/foreign-packages.ts";
import type { NpmTarget } from "../../packages/npm-target.ts";
import { hostTarget } from "../../packages/npm-target.ts";
import { knownPackages } from "../../packages/resolve-packages.ts";
import { BlobStore } from "../images/blob-store.ts";
import type { BuildTask, Failure, FinalEvent, TaskEvent } from "./task.ts";

/** Where a task is done. */
export interface BuildPlace {
  /** The platform's images. */
  imagesDir: string;
  /** For resolved locks and for work. */
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  cwd: string;
  signal: AbortSignal;
  onProgress?(step: BuildProgress): void;
}

/** Does it, and gives the last line of the answer. Throws only for an abort and for what is a bug. */
export async function doTask(task: BuildTask, place: BuildPlace): Promise<FinalEvent> {
  try {
    return await (task.type === "resolve" ? resolve(task.request, place) : build(task.request, place));
  } catch (error) {
    place.signal.throwIfAborted();
    if (isAppctlError(error)) return failureOf(error);
    throw error;
  }
}

/** The answer to a task that needs nobody's time, because packages got their versions before; else undefined. */
export async function knownAnswer(task: BuildTask, place: BuildPlace): Promise<FinalEvent | undefined> {
  if (task.type !== "resolve" || task.request.refresh || task.request.requirements) return undefined;
  const { request } = task;
  const found = await knownPackages({ ...contextOf(request, place), ...request, platform: hostTarget() });
  // Packages from elsewhere are for the task itself to tell of.
  if (!found || foreignPackages(found.lock.lock, "").length > 0) return undefined;
  return { type: "resolved", ...told(found) };
}

async function resolve(request: ResolveRequest, place: BuildPlace): Promise<FinalEvent> {
  const found = await resolved(request, { name: "packages" }, place, request.refresh);
  return { type: "resolved", ...told(found) };
}

async function build(request: BuildRequest, place: BuildPlace): Promise<FinalEvent> {
  const { name, env, baseImage, entrypoint, copy, force } = request;
  const images = new BlobStore(place.imagesDir, () => new Date());
  const copied = copy.map((file) => ({ ...file, file: images.blobPath(file.digest) }));
  copied.sort((a, b) => (a.path < b.path ? -1 : 1));
  const found = await resolved(request, { name, env, baseImage, entrypoint, copy: copied }, place);
  const plan = planFor(found, (request.platform as NpmTarget | undefined) ?? hostTarget());
  const image = await buildEnvironment(plan, images, { ...contextOf(request, place), force });
  const { reference, descriptor, built } = image;
  return { type: built ? "built" : "found", reference, digest: descriptor.digest, ...told(found) };
}

async function resolved(
  request: ResolveRequest | BuildRequest,
  spec: EnvironmentSpec,
  place: BuildPlace,
  refresh?: boolean,
): Promise<ResolvedEnvironment> {
  const { packages, requirements } = request;
  const lockFile = requirements && {
    file: basename(requirements.file),
    written: requirements.file,
    texts: { lock: requirements.text, project: JSON.stringify(requirements.project) },
  };
  const wanted = { ...spec, packages, requirements: lockFile };
  const found = await resolveEnvironment(wanted, { ...contextOf(request, place), refresh });
  const field = requirements ? "requirements" : "packages";
  const faults = foreignPackages(found.lock.lock, `containerImage.${field}`);
  const [first] = faults;
  if (first === undefined) return found;
  throw usageError(faults.length === 1 ? first.message : `the ${field} of the image are not all from a registry`, {
    code: requirements ? "INVALID_REQUIREMENTS" : "INVALID_PACKAGES",
    faults,
  });
}

/** npm's own configuration is the platform's; nothing is looked for in the folders above the one where it works. */
function contextOf({ pins }: ResolveRequest | BuildRequest, place: BuildPlace): EnvironmentContext {
  const { cacheDir, cwd, signal, onProgress } = place;
  const env = fromRegistries(place);
  const lock = pins && { file: pins.file, versions: new Map(Object.entries(pins.versions)) };
  return {
    appDir: parse(cacheDir).root,
    project: { npmrc: undefined, lock, warnings: [] },
    aboutScripts: 'builder "remote" runs none',
    ...{ cacheDir, env, cwd, signal, onProgress },
  };
}

/**
 * The environment of an npm that looks nowhere but into registries, whatever a package depends on. A git repository can bring
 * an .npmrc that names a program of its own as git, which not even the flag against install scripts keeps from running.
 */
function fromRegistries({ env, cacheDir }: BuildPlace): NodeJS.ProcessEnv {
  const settings = {
    npm_config_allow_git: "none",
    npm_config_allow_file: "none",
    npm_config_allow_directory: "none",
    // An older npm has none of these.
    npm_config_git: join(cacheDir, "no-git"),
  };
  const others = Object.entries(env).filter(([name]) => !(name.toLowerCase() in settings));
  return { ...Object.fromEntries(others), ...settings };
}

function told({ lock, warnings }: Pick<ResolvedEnvironment, "lock" | "warnings">) {
  return { resolved: lock, warnings, platform: hostTarget() as Extract<TaskEvent, { type: "built" }>["platform"] };
}

/** Codes of errors that are about npm's configuration, which is another one than the user's. */
const OF_NPM = /^(?:PACKAGE_NOT_FOUND$|REGISTRY_|NPM_)/;

function failureOf({ code, message, exit, hint, next, details, faults }: AppctlError): Failure {
  const isNpm = OF_NPM.test(code);
  const whose = "the platform installs with the npm configuration of the user that runs it";
  const advice = isNpm ? (hint === undefined ? whose : `${hint}; ${whose}`) : hint;
  return {
    type: "failed",
    code,
    message,
    exit,
    ...(advice === undefined ? {} : { hint: advice }),
    next: isNpm ? next.map((command) => `${command}   # on the platform's machine`) : next,
    details,
    faults: faults.map(({ path, message, hint }) => ({ path, message, ...(hint === undefined ? {} : { hint }) })),
  };
}
