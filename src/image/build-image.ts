/** What `appctl build` does: an app's image in the images of this machine, and in a registry when that is asked for. */
import type { LoadedFile } from "../app/loaded-file.ts";
import { selectApp } from "../app/select.ts";
import type { LoadedApp } from "../app/validate.ts";
import { type AppctlError, usageError } from "../core/errors.ts";
import type { BuildProgress, DeployEvent } from "../core/events.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import type { Platform } from "../packages/npm-target.ts";
import { hostPlatform, platformName } from "../packages/npm-target.ts";
import type { AppImage } from "./app-image.ts";
import type { FoundEnvironment } from "./builder/environment-builder.ts";
import { baseImageOf } from "./choose-base.ts";
import { composeImage } from "./compose-image.ts";
import { type EnvironmentPlan, isWhole, loadEnvironment, planFor } from "./environment-image.ts";
import { writeIndex } from "./image-index.ts";
import { LAYER_ROLE } from "./layer.ts";
import { pushAll, type RegistryChoice, registryOf } from "./push-all.ts";
import { imageCache, resolvedOf, type StartImageOptions, startImage } from "./start-image.ts";
import { pushedPlatforms } from "./targets.ts";

/** What {@link buildImage} needs besides. */
export interface BuildImageOptions extends StartImageOptions {
  /** Name of the App; may be left out when the file has one. */
  name: string | undefined;
  pushTo: RegistryChoice;
  push: boolean;
}

/** An app image that was built, as `build -o json` shows it. */
export interface BuiltImage {
  reference: string;
  tag: string;
  /** Of the manifest. */
  digest: string;
  /** Bytes of everything that it is made of. */
  size: number;
  /** Lowest first. `role` is `packages` or `app`. */
  layers: { digest: string; size: number; mediaType: string; role?: string }[];
  pushed: boolean;
  /** What stands beside it: its bill of materials (CycloneDX). Absent when there are several images, which have one each. */
  referrers?: { digest: string; size: number; mediaType: string; artifactType?: string }[];
  /** The image for each platform, when there are several; what stands above is then about the index, and all of them. */
  platforms?: ({ platform: string } & Omit<BuiltImage, "pushed" | "platforms">)[];
}

/** True when `build` of that App needs a platform. */
export function isBuiltByPlatform({ apps }: LoadedFile, name: string | undefined): boolean {
  const meant = apps.filter(({ app }) => name === undefined || app?.spec.name === name);
  return meant.some(({ app }) => app?.image.builder === "remote");
}

/**
 * Builds an app's image into the images of this machine; with `push`, brings it to its registry. No platform is asked, but for
 * the one that the image names as its builder.
 */
export async function* buildImage(
  loaded: LoadedFile,
  options: BuildImageOptions,
): AsyncGenerator<DeployEvent, BuiltImage> {
  try {
    return yield* buildLoaded(loaded, options);
  } finally {
    await loaded.tidied;
  }
}

async function* buildLoaded(loaded: LoadedFile, options: BuildImageOptions): AsyncGenerator<DeployEvent, BuiltImage> {
  const { trace } = options;
  for (const message of loaded.bundle.warnings) yield { type: "warning", message };
  const app = selectApp(loaded, options.name, "build");
  const report = (step: BuildProgress) => started.progress.push(step);
  const registry = registryOf(app, options.pushTo, options, report);
  if (options.push && !registry) throw noRegistryError(app);
  const started = startImage(app, loaded, options);
  const base = registry?.base ?? baseImageOf(app, options, report);
  const layout = imageCache(options.cacheDir);
  const text = registry?.text ?? "";
  try {
    const resolved = yield* resolvedOf(started);
    const platforms = pushedPlatforms(started, hostPlatform());
    const images: PlatformImage[] = [];
    if (options.push && registry) {
      images.push(...(yield* pushAll(registry, started, resolved, platforms, options)).images);
    } else {
      const find = (plan: EnvironmentPlan) => onThisMachine(plan, layout);
      for (const platform of platforms) {
        const place = { text, find, base, layout, whole: true, trace };
        const composed = yield* composeImage(started, planFor(resolved, platform), place);
        await layout.tag(composed.image.reference, composed.image.descriptor);
        images.push({ platform, image: composed.image, referrer: (await composed.bill()).descriptor });
      }
    }
    const built = images.map(({ platform, image, referrer }) => ({
      platform: platformName(platform),
      ...described(image, referrer, text),
    }));
    const pushed = options.push && registry !== undefined;
    const [only] = built;
    if (only && built.length === 1) {
      const { platform: _, ...image } = only;
      return { ...image, pushed };
    }
    const { reference, tag, descriptor } = await writeIndex(images, layout);
    if (!pushed) await layout.tag(reference, descriptor); // what was pushed has parts that this machine does not have
    const layers = new Map(built.flatMap((image) => image.layers.map((layer) => [layer.digest, layer])));
    const blobs = new Map(images.flatMap(({ image }) => image.blobs.map(({ digest, size }) => [digest, size])));
    const size = [...blobs.values()].reduce((sum, bytes) => sum + bytes, descriptor.size);
    const { digest } = descriptor;
    return {
      reference: named(text, reference),
      tag,
      digest,
      size,
      layers: [...layers.values()],
      pushed,
      platforms: built,
    };
  } finally {
    await registry?.close();
    await base?.close();
  }
}

const named = (registry: string, reference: string) => (registry === "" ? reference : `${registry}/${reference}`);

function described(
  { reference, tag, digest, size, layers }: AppImage,
  referrer: Descriptor | undefined,
  registry: string,
): Omit<BuiltImage, "pushed"> {
  return {
    reference: named(registry, reference),
    tag,
    digest,
    size,
    layers: layers.map(({ digest, size, mediaType, annotations }) => {
      const role = annotations?.[LAYER_ROLE];
      return { digest, size, mediaType, ...(role === undefined ? {} : { role }) };
    }),
    referrers: referrer ? [referrerShown(referrer)] : [],
  };
}

function referrerShown({ digest, size, mediaType, artifactType }: Descriptor) {
  return { digest, size, mediaType, ...(artifactType === undefined ? {} : { artifactType }) };
}

/** An image for a platform, as it is on this machine or in the registry, with its bill of materials there. */
interface PlatformImage {
  platform: Platform;
  image: AppImage;
  referrer: Descriptor | undefined;
}

function noRegistryError(app: LoadedApp): AppctlError {
  return usageError(`there is no registry to push the image of ${app.spec.name} to`, {
    code: "NO_REGISTRY",
    hint: "name one with --registry, APPCTL_REGISTRY, registry in a configuration file, or ImageSpec.registry",
  });
}

/** The environment image, when this machine has all of it. */
export async function onThisMachine(plan: EnvironmentPlan, layout: OciLayout): Promise<FoundEnvironment | undefined> {
  const here = await loadEnvironment(layout, plan.reference);
  return here && (await isWhole(layout, here.manifest)) ? { image: here } : undefined;
}
