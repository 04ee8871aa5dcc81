/** An app's image in its registry, for every platform that it is meant for. */
import type { LoadedApp } from "../app/validate.ts";
import type { BuildProgress, DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import type { Platform } from "../packages/npm-target.ts";
import { runConfig } from "./app-files.ts";
import { type AppImage, composeAppImage } from "./app-image.ts";
import type { FoundEnvironment, Resolved } from "./builder/environment-builder.ts";
import { baseImageOf } from "./choose-base.ts";
import { type ComposedImage, composeImage, type Unnamed, waitsForBase } from "./compose-image.ts";
import { type EnvironmentPlan, planFor } from "./environment-image.ts";
import { writeIndex } from "./image-index.ts";
import { ImageRegistry } from "./image-registry.ts";
import { imageCache, type StartedImage, type StartImageOptions } from "./start-image.ts";

/** Where images go to, when the platform is not to be their only place. */
export interface RegistryChoice {
  /** `--registry`: wins over what the image says. */
  flag?: string | undefined;
  /** Environment or configuration file: for images that say nothing. */
  fallback?: string | undefined;
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
  const { progress } = started;
  const layout = imageCache(cacheDir);
  const find = (plan: EnvironmentPlan) => inRegistry(registry, plan, layout);
  const composed: ComposedImage[] = [];
  for (const platform of platforms) {
    const place = { text: registry.text, find, base: registry.base, layout, whole: true, trace };
    composed.push(yield* composeImage(started, planFor(resolved, platform), place));
  }
  // A base that one of the platforms does not have is told before anything is pushed.
  const bases: (Unnamed | undefined)[] = [];
  for (const { unnamed, plan } of composed) {
    const put = async () =>
      unnamed && progress.unlessQuick(waitsForBase(plan), () => registry.based(unnamed, plan, layout));
    bases.push(yield* progress.during(trace.time("put the environment image on its base", put)));
  }
  const pushed: PushedImage[] = [];
  for (const [index, platform] of platforms.entries()) {
    const image = composed[index] as ComposedImage;
    const added = yield* pushComposed(registry, { ...image, unnamed: bases[index] }, started, { layout, trace });
    pushed.push({ platform, ...added, composed: image });
  }
  const [only] = pushed;
  if (only && pushed.length === 1) {
    const { reference, digest } = only.image;
    return { images: pushed, reference: `${registry.text}/${reference}`, digest };
  }
  const { reference, descriptor } = await writeIndex(pushed, layout);
  const push = () => registry.pushIndex(reference, descriptor, layout);
  yield* progress.during(trace.time("push the index of the platforms", push));
  return { images: pushed, reference: `${registry.text}/${reference}`, digest: descriptor.digest };
}

/**
 * Brings what {@link composeImage} gave to a registry: the environment image first, for others to stand on. `unnamed` is that
 * image as it is to be there, on its base. Gives the app image as it is there, and its bill of materials.
 */
async function* pushComposed(
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
      await registry.push(plan.reference, unnamed.descriptor, layout, report);
      environment = unnamed;
    }
    const pushed =
      plan.baseImage === undefined || !environment
        ? image
        : await composeAppImage({ environment, layer: await layer, config: runConfig(app), layout, signal });
    const [about] = await Promise.all([
      registry.push(image.reference, pushed.descriptor, layout, report, bill),
      layout.tag(image.reference, pushed.descriptor),
    ]);
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

/** The environment image, when the registry has it, or this machine has all of it and can push it. */
async function inRegistry(
  registry: ImageRegistry,
  plan: EnvironmentPlan,
  layout: OciLayout,
): Promise<FoundEnvironment | undefined> {
  const found = await registry.find(plan, layout);
  return found && { ...found, unnamed: found.there ? undefined : found.image.descriptor };
}
