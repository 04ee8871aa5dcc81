/** The deploy pipeline's middle: an app's environment image, found or built, and the app image on top of it, uploaded. */
import type { Client } from "../client/client.ts";
import type { ImageReference } from "../contract/types.ts";
import type { BuildProgress, DeployEvent } from "../core/events.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import { fetchBlob } from "../oci/registry/pull-image.ts";
import type { Platform } from "../packages/npm-target.ts";
import { platformName } from "../packages/npm-target.ts";
import { runConfig } from "./app-files.ts";
import { type AppImage, composeAppImage } from "./app-image.ts";
import { type BaseImage, onBase } from "./base-image.ts";
import type { FoundEnvironment, Resolved } from "./builder/environment-builder.ts";
import { baseImageOf } from "./choose-base.ts";
import { type ComposedImage, composeImage, type ImagePlace, waitsForBase } from "./compose-image.ts";
import { type EnvironmentPlan, isWhole, loadEnvironment, planFor } from "./environment-image.ts";
import { fetchFromPlatform } from "./fetch-from-platform.ts";
import { LAYER_ROLE } from "./layer.ts";
import { pushAll, type RegistryChoice, registryOf } from "./push-all.ts";
import { imageCache, resolvedOf, type StartedImage, type StartImageOptions } from "./start-image.ts";
import { platformOf, pushedPlatforms, samePlatform } from "./targets.ts";
import { upload } from "./upload-to-platform.ts";

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

/** An image that the platform has. */
export interface MadeImage {
  image: ImageReference;
  /** Gives it its name on this machine, with its bill of materials beside it: what a deploy does while it waits. */
  keep(): Promise<void>;
}

/**
 * Makes the app's image and sees to it that the platform has all of it, and its registry before, when it has one: there it is
 * for every platform that it is meant for. The environment image is not built when the registry, or without one the platform,
 * or this machine has it; the app image is packed each time, which takes milliseconds.
 */
export async function* makeImage(
  started: StartedImage,
  options: MakeImageOptions,
): AsyncGenerator<DeployEvent, MadeImage> {
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
    const isPushed = registry && image.digest === there?.image.digest;
    return {
      image: {
        reference: `${isPushed ? registry.text : options.registry}/${image.reference}`,
        digest: image.digest,
      },
      async keep() {
        if (!there) await layout.tag(image.reference, image.descriptor); // else it has its name already
        await composed.bill();
      },
    };
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
  const image = await composeAppImage({ ...upper, config: runConfig(app), layout, signal });
  const ofBase = based.manifest.layers.filter(({ annotations }) => annotations?.[LAYER_ROLE] === undefined);
  return { image, ofBase: new Set(ofBase.map(({ digest }) => digest)) };
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
  const { reference, platform } = plan;
  return { image: await fetchFromPlatform({ client, reference, layout, signal }, there.digest, platform) };
}
