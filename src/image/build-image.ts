/** What `appctl build` does: an app's image in the images of this machine, and in a registry when that is asked for. */
import type { LoadedFile } from "../app/loaded-file.ts";
import { selectApp } from "../app/select.ts";
import type { LoadedApp } from "../app/validate.ts";
import { type AppctlError, usageError } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import type { Descriptor } from "../oci/model.ts";
import { hostTarget, targetName } from "../packages/npm-target.ts";
import type { AppImage } from "./app-image.ts";
import { type Delivery, deliver } from "./deliver.ts";
import { planImage } from "./image-plan.ts";
import { LAYER_ROLE } from "./layer.ts";
import { LayoutStore } from "./layout-store.ts";
import { type PrepareImageOptions, prepareImage, resolvedOf } from "./prepare-image.ts";
import { type RegistryChoice, registryOf } from "./publish-image.ts";

/** What {@link buildImage} needs besides. */
export interface BuildImageOptions extends PrepareImageOptions {
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
  /** Its bill of materials (CycloneDX). Absent when there are several images, which have one each. */
  referrers?: { digest: string; size: number; mediaType: string; artifactType?: string }[];
  /** The image for each platform, when there are several; the fields above are then about the index, and all of them. */
  platforms?: ({ platform: string } & Omit<BuiltImage, "pushed" | "platforms">)[];
}

/** True when `build` of that App needs a platform. */
export function isBuiltByPlatform({ apps }: LoadedFile, name: string | undefined): boolean {
  const selected = apps.filter(({ app }) => name === undefined || app?.spec.name === name);
  return selected.some(({ app }) => app?.image.builder === "remote");
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
  for (const message of loaded.bundle.warnings) yield { type: "warning", message };
  const app = selectApp(loaded, options.name, "build");
  const registry = registryOf(app, options.pushTo, options);
  if (options.push && !registry) throw noRegistryError(app);
  const prepared = prepareImage(app, loaded, options);
  const { layout, base, platforms } = prepared;
  try {
    const resolved = yield* resolvedOf(prepared);
    const address = registry?.address ?? "";
    const pushed = options.push && registry !== undefined;
    const place = pushed ? { registry: address } : { layout: address };
    const plan = planImage(resolved, { platforms, own: hostTarget(), ...place });
    const stores = { layout: new LayoutStore(layout, address), ...(registry ? { registry } : {}) };
    const [delivery] = (yield* deliver(plan, prepared, stores)) as [Delivery];
    return builtImage(delivery, address, pushed);
  } finally {
    await registry?.close();
    await base?.close();
  }
}

function builtImage({ images, reference, descriptor }: Delivery, address: string, pushed: boolean): BuiltImage {
  const built = images.map(({ image, local, referrer }) => ({
    platform: targetName(local.target.platform),
    ...described(image, referrer, address),
  }));
  const [only] = built;
  if (only && built.length === 1) {
    const { platform: _, ...image } = only;
    return { ...image, pushed };
  }
  const layers = new Map(built.flatMap((image) => image.layers.map((layer) => [layer.digest, layer])));
  const blobs = new Map(images.flatMap(({ image }) => image.blobs.map(({ digest, size }) => [digest, size])));
  const size = [...blobs.values()].reduce((sum, bytes) => sum + bytes, descriptor.size);
  const tag = reference.slice(reference.lastIndexOf(":") + 1);
  return { reference, tag, digest: descriptor.digest, size, layers: [...layers.values()], pushed, platforms: built };
}

function described(
  { reference, tag, digest, size, layers }: AppImage,
  referrer: Descriptor | undefined,
  registry: string,
): Omit<BuiltImage, "pushed"> {
  return {
    reference: registry === "" ? reference : `${registry}/${reference}`,
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

function noRegistryError(app: LoadedApp): AppctlError {
  return usageError(`there is no registry to push the image of ${app.spec.name} to`, {
    code: "NO_REGISTRY",
    hint: "name one with --registry, APPCTL_REGISTRY, registry in a configuration file, or ImageSpec.registry",
  });
}
