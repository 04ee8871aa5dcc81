/** What can begin before the platform has been asked: an app's files are packed, and the packages of its image resolved. */
import { dirname, join, resolve } from "node:path";
import { packagesFor } from "../app/load.ts";
import type { LoadedFile } from "../app/loaded-file.ts";
import type { LoadedApp } from "../app/validate.ts";
import type { Bundle } from "../bundle/bundle.ts";
import type { Client } from "../client/client.ts";
import { bootId } from "../core/boot-id.ts";
import { AppctlError, type ErrorDetails, isAppctlError, usageError } from "../core/errors.ts";
import type { BuildProgress, DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";
import type { OciLayout } from "../oci/layout.ts";
import { parseImageName } from "../oci/registry/image-name.ts";
import type { NpmTarget } from "../packages/npm-target.ts";
import { readRequirements } from "../packages/requirements.ts";
import { appFiles, copiedFiles } from "./app-files.ts";
import { packApp } from "./app-image.ts";
import type { BaseImage } from "./base-image.ts";
import type { EnvironmentBuilder, Resolved } from "./builder/environment-builder.ts";
import { localBuilder } from "./builder/local-builder.ts";
import { remoteBuilder } from "./builder/remote-builder.ts";
import { baseImageOf, baseOf, refuseProgramsOnNothing } from "./choose-base.ts";
import { buildEnvironment, type EnvironmentContext, planEnvironment } from "./environment-image.ts";
import { ImageCache } from "./image-cache.ts";
import type { Layer } from "./layer.ts";
import { ProgressQueue } from "./progress-queue.ts";
import { writtenTargets } from "./targets.ts";
import { unpackPackages } from "./unpack.ts";

/** What {@link prepareImage} needs. */
export interface PrepareImageOptions {
  cacheDir: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Let packages run their install scripts. */
  allowScripts?: boolean | undefined;
  /** Base for images that name none, as configured: see `baseOf`. */
  baseImage?: string | undefined;
  /** The platform, which builds images whose builder is "remote". */
  client?: Client | undefined;
  signal: AbortSignal;
  trace: Trace;
}

/** What resolving and installing packages needs. */
type InstallOptions = Omit<PrepareImageOptions, "trace" | "client">;

/** An image whose making has begun, as far as it needs nothing of the platform. */
export interface PreparedImage {
  app: LoadedApp;
  /** Packages with code in the bundle. */
  contents: Bundle["contents"];
  /** The app's files in their layer. */
  layer: Promise<Layer>;
  /** What the environment image is on any platform. */
  resolved: Promise<Resolved>;
  builder: EnvironmentBuilder;
  /** What the ImageSpec says it is for, if it says so. */
  platforms: NpmTarget[] | undefined;
  context: EnvironmentContext;
  /** Its base in containers. */
  base: BaseImage | undefined;
  /** The images of this machine. */
  layout: OciLayout;
  progress: ProgressQueue;
  trace: Trace;
}

/** Packs the app's files and resolves the image's packages: while that is under way, the platform can be asked. */
export function prepareImage(app: LoadedApp, loaded: LoadedFile, options: PrepareImageOptions): PreparedImage {
  const { cacheDir, signal, trace } = options;
  const progress = new ProgressQueue();
  const layout = new ImageCache(join(cacheDir, "images"));
  const report = (step: BuildProgress) => progress.push(step);
  const context: EnvironmentContext = { ...options, appDir: loaded.bundle.root, onProgress: report };
  const packages = packagesFor(app.image, loaded.bundle);
  const { name, env, entrypoint, programs, requirements: written } = app.image;
  const builder = builderOf(app, context, options);
  const requirements = written === undefined ? undefined : { written, file: resolve(loaded.bundle.root, written) };
  const baseImage = baseOf(app, options.baseImage);
  if (baseImage !== undefined) parseImageName(baseImage); // a faulty one ends the deploy here
  if (baseImage === undefined) refuseProgramsOnNothing(app);
  const copied = copiedFiles(app, loaded).catch(async (error: unknown) => {
    throw await withFaultsOf(error, app, requirements && (() => readRequirements(requirements, packages)));
  });
  const resolvePackages = async () => {
    const environmentSpec = { name, packages, requirements, env, entrypoint, baseImage, programs, copy: await copied };
    return builder.resolve(environmentSpec);
  };
  const resolved = trace.time("resolve the image's packages", resolvePackages);
  const pack = async () => packApp(await appFiles(app, loaded, await copied), layout, signal);
  const layer = trace.time("pack the app", pack);
  // Each is awaited when it is needed; until then a failure is nobody's yet.
  for (const work of [copied, resolved, layer]) work.catch(() => undefined);
  const platforms = writtenTargets(app.image.platform, baseImage);
  const base = baseImageOf(app, options, report);
  const { contents } = loaded.bundle;
  return { app, contents, layer, resolved, builder, platforms, context, base, layout, progress, trace };
}

/** An error with the faults of two inputs: both can be fixed at once. */
async function withFaultsOf(error: unknown, { spec }: LoadedApp, read: (() => Promise<unknown>) | undefined) {
  const other = await read?.().catch((fault: unknown) => fault);
  if (!isAppctlError(error) || !isAppctlError(other) || error.exit !== other.exit) return error;
  const faults = [...error.faults, ...other.faults];
  return usageError(`the image of ${spec.name} is not valid`, { code: error.code, faults, next: other.next });
}

function builderOf(
  { image: { builder, force }, spec: { name } }: LoadedApp,
  context: EnvironmentContext,
  { client, allowScripts }: PrepareImageOptions,
): EnvironmentBuilder {
  if (builder !== "remote") return localBuilder(context, force);
  if (allowScripts) throw scriptsRefused(name);
  if (!client) throw new Error(`${name} is built by the platform, and there is none`); // callers look for one before
  const { onProgress = () => undefined, ...place } = context;
  return remoteBuilder({ ...place, client, force, onProgress });
}

function scriptsRefused(name: string): AppctlError {
  return usageError(`the platform runs no install scripts, and the image of ${name} has builder: "remote"`, {
    code: "SCRIPTS_REMOTE",
    hint: 'leave --allow-scripts out, or leave out builder: "remote": this machine builds then',
  });
}

/** What the environment image will be, with its warnings said. */
export async function* resolvedOf({ resolved, progress }: PreparedImage): AsyncGenerator<DeployEvent, Resolved> {
  const found = yield* progress.during(resolved);
  for (const message of found.warnings) yield { type: "warning", message };
  return found;
}

/**
 * Directories of packages that the user's file imports and that are not installed next to it, by name. They are installed
 * into a packages layer, the very one that the image will have, and unpacked from there.
 */
export async function installedPackages(
  packages: string[],
  file: string,
  options: InstallOptions,
): Promise<Map<string, string>> {
  const { cacheDir, cwd } = options;
  const layout = new ImageCache(join(cacheDir, "images"));
  const context: EnvironmentContext = { ...options, appDir: dirname(resolve(cwd, file)) };
  const plan = await planEnvironment({ name: "packages", packages }, context).catch((error: unknown) => {
    throw inFile(error, file);
  });
  const image = await buildEnvironment(plan, layout, context);
  // The disk is not waited for, and a loss of power can leave files empty that nobody checks: what was unpacked before the
  // machine was started last is left alone, and goes with what is not used.
  const root = await unpackPackages(layout, image, join(cacheDir, "content", bootId()));
  return new Map(root === undefined ? [] : plan.packages.map(({ name }) => [name, join(root, name)]));
}

/** The error with its faults in the file: the ImageSpec, whose fields they name, is not known before the file has run. */
function inFile(error: unknown, file: string): unknown {
  if (!isAppctlError(error) || error.faults.length === 0) return error;
  const { message, cause } = error;
  const faults = error.faults.map((fault) => ({ ...fault, path: file }));
  return new AppctlError({ ...error, message, cause, faults } as ErrorDetails);
}
