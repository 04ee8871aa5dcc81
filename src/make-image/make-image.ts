/** The deploy pipeline's middle: an app's environment image, found or built, and the app image on top of it, uploaded. */
import { dirname, join, resolve } from "node:path";
import { type LoadedFile, packagesFor } from "../app/load.ts";
import type { LoadedApp } from "../app/validate.ts";
import type { Bundle } from "../bundle/bundle.ts";
import type { Client } from "../client/client.ts";
import type { ImageReference } from "../contract/types.ts";
import { type AppctlError, usageError } from "../core/errors.ts";
import type { BuildProgress, DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";
import { type AppImage, buildAppImage, packApp } from "../image/app-image.ts";
import { BOM_TYPE, billOfMaterials } from "../image/bill-of-materials.ts";
import {
  buildEnvironment,
  type EnvironmentContext,
  type EnvironmentImage,
  type EnvironmentPlan,
  isWhole,
  loadEnvironment,
  planEnvironment,
  planFor,
} from "../image/environment.ts";
import { ImageCache } from "../image/image-cache.ts";
import { writeIndex } from "../image/image-index.ts";
import type { Layer } from "../image/layer.ts";
import type { OciLayout } from "../image/layout.ts";
import { type Descriptor, jsonBytes, LAYER_ROLE, type Platform, platformName } from "../image/oci.ts";
import { attachReferrer, type Referrer } from "../image/referrer.ts";
import { type BaseImage, onBase } from "../image/registry/base-image.ts";
import { parseImageName } from "../image/registry/image-name.ts";
import { ImageRegistry } from "../image/registry/image-registry.ts";
import { fetchBlob } from "../image/registry/pull-image.ts";
import { unpackPackages } from "../image/unpack.ts";
import { appFiles, copiedFiles, runConfig } from "./app-files.ts";
import { baseImageOf, baseOf, refuseProgramsOnNothing } from "./base-of.ts";
import { type EnvironmentBuilder, localBuilder, type Resolved } from "./environment-builder.ts";
import { fetchFromPlatform } from "./from-platform.ts";
import { platformBuilder } from "./platform-builder.ts";
import { platformOf, pushedPlatforms, samePlatform, writtenPlatforms } from "./platforms.ts";
import { ProgressQueue } from "./progress-queue.ts";
import { upload } from "./upload.ts";

/** What {@link startImage} needs. */
export interface StartImageOptions {
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

/** What {@link makeImage} needs besides. */
export interface MakeImageOptions extends StartImageOptions {
  client: Client;
  /** Host and port of the platform, as they stand in image references. */
  registry: string;
  /** The platform takes an image only with its base. */
  needsBase: boolean;
  /** What it runs: `linux/amd64`. Absent when it has not said so: then it is what this machine is. */
  platform: string | undefined;
  pushTo: RegistryChoice;
}

/** Where images go to, when the platform is not to be their only place. */
export interface RegistryChoice {
  /** `--registry`: wins over what the image says. */
  flag?: string | undefined;
  /** Environment or configuration file: for images that say nothing. */
  fallback?: string | undefined;
}

/** What resolving and installing packages needs. */
type InstallOptions = Omit<StartImageOptions, "trace" | "client">;

/** An image whose making has begun, as far as it needs nothing of the platform. */
export interface StartedImage {
  app: LoadedApp;
  /** Packages with code in the bundle. */
  contents: Bundle["contents"];
  /** The app's files in their layer. */
  layer: Promise<Layer>;
  /** What the environment image is on any platform. */
  resolved: Promise<Resolved>;
  builder: EnvironmentBuilder;
  /** What the ImageSpec says it is for, if it says so. */
  platforms: Platform[] | undefined;
  context: EnvironmentContext;
  progress: ProgressQueue;
}

/** Packs the app's files and resolves the image's packages: while that is under way, the platform can be asked. */
export function startImage(app: LoadedApp, loaded: LoadedFile, options: StartImageOptions): StartedImage {
  const { cacheDir, signal, trace } = options;
  const progress = new ProgressQueue();
  const context = environmentContext(loaded.bundle.root, options, (step) => progress.push(step));
  const packages = packagesFor(app.image, loaded.bundle);
  const { name, env, entrypoint, programs, requirements: written } = app.image;
  const builder = builderOf(app, context, options);
  const requirements = written === undefined ? undefined : { written, file: resolve(loaded.bundle.root, written) };
  const baseImage = baseOf(app, options.baseImage);
  if (baseImage !== undefined) parseImageName(baseImage); // a faulty one ends the deploy here
  if (baseImage === undefined) refuseProgramsOnNothing(app);
  const copied = copiedFiles(app, loaded);
  const resolvePackages = async () => {
    const wanted = { name, packages, requirements, env, entrypoint, baseImage, programs, copy: await copied };
    return builder.resolve(wanted);
  };
  const resolved = trace.time("resolve the image's packages", resolvePackages);
  const pack = async () => packApp(await appFiles(app, loaded, await copied), imageCache(cacheDir), signal);
  const layer = trace.time("pack the app", pack);
  // Each is awaited when it is needed; until then a failure is nobody's yet.
  for (const work of [copied, resolved, layer]) work.catch(() => undefined);
  const platforms = writtenPlatforms(app.image.platform, baseImage);
  return { app, contents: loaded.bundle.contents, layer, resolved, builder, platforms, context, progress };
}

function builderOf(
  { image: { builder, force }, spec: { name } }: LoadedApp,
  context: EnvironmentContext,
  { client, allowScripts }: StartImageOptions,
): EnvironmentBuilder {
  if (builder !== "remote") return localBuilder(context, force);
  if (allowScripts) throw scriptsRefused(name);
  if (!client) throw new Error(`${name} is built by the platform, and there is none`); // whoever calls finds one before
  const { onProgress = () => undefined, ...place } = context;
  return platformBuilder({ ...place, client, force, onProgress });
}

function scriptsRefused(name: string): AppctlError {
  return usageError(`the platform runs no install scripts, and the image of ${name} has builder: "remote"`, {
    code: "SCRIPTS_REMOTE",
    hint: 'leave --allow-scripts out, or leave out builder: "remote": this machine builds then',
  });
}

/** The registry that an app's image goes to, if it is not the platform alone. */
export function registryOf(
  app: LoadedApp,
  { flag, fallback }: RegistryChoice,
  options: Pick<StartImageOptions, "env" | "signal" | "baseImage">,
  report?: (step: BuildProgress) => void,
): ImageRegistry | undefined {
  const text = flag ?? app.image.registry ?? fallback;
  return text === undefined
    ? undefined
    : new ImageRegistry(text, options.env, options.signal, baseImageOf(app, options, report));
}

/**
 * Makes the app's image and sees to it that the platform has all of it, and its registry before, when it has one: there it is
 * for every platform that it is meant for. The environment image is not built when the registry, or without one the platform,
 * or this machine has it; the app image is packed each time, which takes milliseconds.
 */
export async function* makeImage(
  started: StartedImage,
  options: MakeImageOptions,
): AsyncGenerator<DeployEvent, ImageReference> {
  const { progress } = started;
  const { trace } = options;
  const layout = imageCache(options.cacheDir);
  const report = (step: BuildProgress) => progress.push(step);
  const registry = registryOf(started.app, options.pushTo, options, report);
  const base = options.needsBase ? baseImageOf(started.app, options, report) : undefined;
  try {
    const resolved = yield* resolvedOf(started);
    const own = ownPlatform(resolved, started, options);
    const pushed = registry && (yield* pushAll(registry, started, resolved, pushedPlatforms(started, own), options));
    if (pushed) {
      const { reference, digest } = pushed;
      yield { type: "pushed", app: started.app.spec.name, reference, digest };
    }
    const there = pushed?.images.find(({ platform }) => samePlatform(platform, own));
    const find = onPlatform(layout, options);
    const place = { text: options.registry, find, base, layout, whole: false, trace };
    const composed = there?.composed ?? (yield* composeImage(started, planFor(resolved, own), place));
    const putOn = () =>
      progress.unlessQuick(waitsForBase(composed.plan), () => onItsBase(composed, base as BaseImage, started, layout));
    // What was pushed stands on its base already, and is what others see under its name.
    const based = base && !there ? yield* progress.during(trace.time("put the image on its base", putOn)) : undefined;
    const image = based?.image ?? (base && there ? there.image : composed.image);
    const bring = async (blob: Descriptor) => {
      if (base && based?.ofBase.has(blob.digest)) await fetchBlob(base.repository, blob, layout);
      else await registry?.fetch(blob, image.reference, layout);
    };
    const send = () => upload(image, there ? undefined : composed.unnamed, { layout, bring }, options, report);
    yield* progress.during(trace.time("upload what the platform lacks", send));
    await composed.bill;
    const isPushed = registry && image.digest === there?.image.digest;
    return { reference: `${isPushed ? registry.text : options.registry}/${image.reference}`, digest: image.digest };
  } finally {
    await registry?.close();
    await base?.close();
  }
}

/** What the image has to be for the platform. One that builds knows its own machine better than this one does. */
function ownPlatform({ host }: Resolved, started: StartedImage, { platform, needsBase }: MakeImageOptions): Platform {
  const own = platformOf(platform, started, needsBase);
  return host && !needsBase && platformName(host) === (platform ?? platformName(host)) ? host : own;
}

/** What the environment image will be, with its warnings said. */
export async function* resolvedOf({ resolved, progress }: StartedImage): AsyncGenerator<DeployEvent, Resolved> {
  const found = yield* progress.during(resolved);
  for (const message of found.warnings) yield { type: "warning", message };
  return found;
}

/** An image in a registry for a platform: as it is there, and as it is on this machine. */
export interface PushedImage {
  platform: Platform;
  image: AppImage;
  /** Its bill of materials there; absent when the registry takes none. */
  referrer: Descriptor | undefined;
  composed: ComposedImage;
}

/** What a registry has of an app: an image, or an index over several. */
export interface Pushed {
  images: PushedImage[];
  reference: string;
  digest: string;
}

/** Makes the image for each of `platforms` and brings it to the registry; several get an index over them. */
export async function* pushAll(
  registry: ImageRegistry,
  started: StartedImage,
  resolved: Resolved,
  platforms: readonly Platform[],
  { cacheDir, trace }: Pick<StartImageOptions, "cacheDir" | "trace">,
): AsyncGenerator<DeployEvent, Pushed> {
  const layout = imageCache(cacheDir);
  const find = (plan: EnvironmentPlan) => inRegistry(registry, plan, layout);
  const pushed: PushedImage[] = [];
  for (const platform of platforms) {
    const composed = yield* composeImage(started, planFor(resolved, platform), {
      text: registry.text,
      find,
      base: registry.base,
      layout,
      whole: true,
      trace,
    });
    const { image, referrer } = yield* pushComposed(registry, composed, started, { layout, trace });
    pushed.push({ platform, image, referrer, composed });
  }
  const [only] = pushed;
  if (only && pushed.length === 1) {
    const { reference, digest } = only.image;
    return { images: pushed, reference: `${registry.text}/${reference}`, digest };
  }
  const { reference, descriptor } = await writeIndex(pushed, layout);
  const push = () => registry.pushIndex(reference, descriptor, layout);
  yield* started.progress.during(trace.time("push the index of the platforms", push));
  return { images: pushed, reference: `${registry.text}/${reference}`, digest: descriptor.digest };
}

/**
 * The app image as a container needs it, and the digests of the layers that are still where the base is. The base is asked for
 * once for each environment image: until that changes, what its tag names elsewhere changes nothing here.
 */
async function onItsBase(
  { environment, plan }: ComposedImage,
  base: BaseImage,
  { app, layer, context }: StartedImage,
  layout: OciLayout,
): Promise<{ image: AppImage; ofBase: Set<string> }> {
  const { signal } = context;
  const name = `based/${plan.reference}`;
  const known = app.image.force ? undefined : await loadEnvironment(layout, name);
  const based = known ?? (await onBase(environment, await base.fetch(layout, plan.platform), name, layout));
  if (!known) await layout.tag(name, based.descriptor);
  const upper = { environment: { ...based, reference: plan.reference }, layer: await layer };
  const image = await buildAppImage({ ...upper, config: runConfig(app), layout, signal });
  const ofBase = based.manifest.layers.filter(({ annotations }) => annotations?.[LAYER_ROLE] === undefined);
  return { image, ofBase: new Set(ofBase.map(({ digest }) => digest)) };
}

/** Where {@link composeImage} looks for the environment image. */
export interface ImagePlace {
  /** What stands before `/<name>:<tag>`; empty for this machine. */
  text: string;
  find(plan: EnvironmentPlan): Promise<FoundEnvironment | undefined>;
  /** What the image stands on; where something runs on it first, that is a part of building the image. */
  base?: BaseImage | undefined;
  layout: OciLayout;
  /** All of it is needed in the layout, wherever it is built. */
  whole: boolean;
  trace: Trace;
}

/** An environment image that need not be built. `unnamed`: the place that was asked does not have it under its name. */
export interface FoundEnvironment {
  image: EnvironmentImage;
  unnamed?: Descriptor | undefined;
  /** What a registry has under that name: the same image, or the same on its base. */
  there?: EnvironmentImage | undefined;
  /** What it was built after, when that has changed since it was planned. */
  plan?: EnvironmentPlan | undefined;
}

/** The app's image in the layout, on top of an environment image that was found or is built. */
export async function* composeImage(
  started: StartedImage,
  planned: EnvironmentPlan,
  { text, find: look, base: below, layout, whole, trace }: ImagePlace,
): AsyncGenerator<DeployEvent, ComposedImage> {
  const { app, context, progress } = started;
  const { signal } = context;
  const named = ({ reference }: EnvironmentPlan) => (text === "" ? reference : `${text}/${reference}`);
  const { force = false } = started.app.image;
  const find = async () => {
    const there = await look(planned);
    return there && !there.there && (await below?.isToBeMade(layout, planned.platform)) ? undefined : there;
  };
  const asked = () => progress.unlessQuick(`looking for ${named(planned)}`, find);
  let found = force ? undefined : yield* progress.during(trace.time("look for the environment image", asked));
  yield { type: "image", state: found ? "found" : force ? "forced" : "missing", reference: named(planned) };
  if (!found) {
    const build = async () => {
      const made = await started.builder.build(planned, { layout, whole });
      await below?.make(layout, planned.platform);
      return made;
    };
    found = yield* progress.during(trace.time("build the environment image", build));
    yield { type: "image", state: "built", reference: named(found.plan ?? planned) };
  }
  // What the platform does not have under its name yet goes there with the app.
  const { image: base, unnamed, there, plan = planned } = found;
  const put = async () =>
    buildAppImage({ environment: base, layer: await started.layer, config: runConfig(app), layout, signal });
  const image = await trace.time("put the app on top of it", put);
  const bill = trace.time("write its bill of materials", () => attachBill(image, started, plan, layout));
  bill.catch(() => undefined); // awaited by those who go on with the image
  return { image, environment: base, plan, unnamed: unnamed && { ...base, descriptor: unnamed }, there, bill };
}

/**
 * Brings what {@link composeImage} gave to a registry, on its base when it has one: the environment image first, for others to
 * stand on. Gives the app image as it is there, and its bill of materials.
 */
export async function* pushComposed(
  registry: ImageRegistry,
  { image, plan, unnamed, there, bill }: ComposedImage,
  { app, layer, context, progress }: StartedImage,
  { layout, trace }: { layout: OciLayout; trace: Trace },
): AsyncGenerator<DeployEvent, Pick<PushedImage, "image" | "referrer">> {
  const { signal } = context;
  const message = `pushing the image to ${registry.text}`;
  const report = (done: number, total: number) =>
    progress.push({ step: "upload", message, done, total, unit: "bytes" });
  const push = async () => {
    let environment = there;
    if (unnamed) {
      const based = await progress.unlessQuick(waitsForBase(plan), () => registry.based(unnamed, plan, layout));
      await registry.push(plan.reference, based.descriptor, layout, report);
      environment = based;
    }
    const pushed =
      plan.baseImage === undefined || !environment
        ? image
        : await buildAppImage({ environment, layer: await layer, config: runConfig(app), layout, signal });
    const about = await registry.push(image.reference, pushed.descriptor, layout, report, bill);
    return { image: { ...pushed, reference: image.reference }, about };
  };
  const pushed = yield* progress.during(trace.time("push what the registry lacks", push));
  const { about } = pushed;
  if (about && "refused" in about) {
    const message = `${registry.text} does not take the bill of materials beside the image: ${about.refused.message}`;
    yield { type: "warning", message };
  }
  return { image: pushed.image, referrer: about && "descriptor" in about ? about.descriptor : undefined };
}

/** What the terminal says while a base's registry does not answer. */
const waitsForBase = ({ baseImage }: EnvironmentPlan) => `looking for the base image ${baseImage}`;

/** The environment image, when the registry has it, or this machine has all of it and can push it. */
export async function inRegistry(
  registry: ImageRegistry,
  plan: EnvironmentPlan,
  layout: OciLayout,
): Promise<FoundEnvironment | undefined> {
  const found = await registry.find(plan, layout);
  return found && { ...found, unnamed: found.there ? undefined : found.image.descriptor };
}

/** Says what ships in the image, in a document that stands beside it on this machine. */
function attachBill(
  image: AppImage,
  { app, contents }: StartedImage,
  { lock, platform }: EnvironmentPlan,
  layout: OciLayout,
): Promise<Referrer> {
  const bill = billOfMaterials({ name: app.spec.name, contents, lock: lock.lock, platform });
  return attachReferrer(layout, image, BOM_TYPE, jsonBytes(bill));
}

/** The images of this machine. */
export function imageCache(cacheDir: string): OciLayout {
  return new ImageCache(join(cacheDir, "images"));
}

/**
 * Directories of packages that the user's file imports and that are not installed beside it, by name. They are installed
 * into a packages layer, the very one that the image will have, and unpacked from there.
 */
export async function installedPackages(
  packages: string[],
  file: string,
  options: InstallOptions,
): Promise<Map<string, string>> {
  const { cacheDir, cwd } = options;
  const layout = imageCache(cacheDir);
  const context = environmentContext(dirname(resolve(cwd, file)), options);
  const plan = await planEnvironment({ name: "packages", packages }, context);
  const image = await buildEnvironment(plan, layout, context);
  const root = await unpackPackages(layout, image, join(cacheDir, "content"));
  return new Map(root === undefined ? [] : plan.packages.map(({ name }) => [name, join(root, name)]));
}

/** What resolving and installing packages needs to know. */
function environmentContext(
  appDir: string,
  options: InstallOptions,
  onProgress?: (step: BuildProgress) => void,
): EnvironmentContext {
  const { cacheDir, cwd, env, allowScripts, signal } = options;
  return { appDir, cacheDir, cwd, env, allowScripts, signal, onProgress };
}

/** Finds the environment image where the platform has it, or this machine has all of it and can upload it. */
function onPlatform(layout: OciLayout, options: MakeImageOptions): ImagePlace["find"] {
  return (plan) => findOnPlatform(plan, layout, options);
}

async function findOnPlatform(
  plan: EnvironmentPlan,
  layout: OciLayout,
  { client, signal }: MakeImageOptions,
): Promise<FoundEnvironment | undefined> {
  const [there, here] = await Promise.all([
    client.resolveImage(plan.reference, signal),
    loadEnvironment(layout, plan.reference),
  ]);
  if (!there) {
    if (!here || !(await isWhole(layout, here.manifest))) return undefined;
    return { image: here, unnamed: here.descriptor };
  }
  if (here && here.descriptor.digest === there.digest) return { image: here };
  // Built on another machine.
  return {
    image: await fetchFromPlatform(client, { reference: plan.reference, digest: there.digest }, layout, signal),
  };
}

/** An environment image that the place it was looked for in does not know by its name. */
export interface Unnamed extends EnvironmentImage {
  descriptor: Descriptor;
}

/** What {@link composeImage} gives. */
export interface ComposedImage {
  image: AppImage;
  environment: EnvironmentImage;
  plan: EnvironmentPlan;
  unnamed: Unnamed | undefined;
  there: EnvironmentImage | undefined;
  /** Resolves when the bill of materials stands beside the image; nothing else has to wait for it. */
  bill: Promise<Referrer>;
}
