/** What `appctl deploy` does with an image: it goes to its registry, when it has one, and to the platform. */
import type { LoadedApp } from "../app/validate.ts";
import type { Client } from "../client/client.ts";
import type { ImageReference } from "../contract/types.ts";
import type { DeployEvent } from "../core/events.ts";
import { parseImageName } from "../oci/registry/image-name.ts";
import { type NpmTarget, targetName } from "../packages/npm-target.ts";
import type { Resolved } from "./builder/environment-builder.ts";
import { baseOf } from "./choose-base.ts";
import { type Delivery, deliver, type ImageCopy } from "./deliver.ts";
import { planImage } from "./image-plan.ts";
import { platformStore } from "./platform-store.ts";
import { type PreparedImage, type PrepareImageOptions, resolvedOf } from "./prepare-image.ts";
import { type RegistryStore, registryAt } from "./registry-store.ts";
import { targetOf } from "./targets.ts";

/** Where images go to, when the platform is not to be their only place. */
export interface RegistryChoice {
  /** `--registry`: wins over what the image says. */
  flag?: string | undefined;
  /** Environment or configuration file: for images that say nothing. */
  fallback?: string | undefined;
}

/** What {@link publishImage} needs besides. */
export interface PublishImageOptions extends Pick<PrepareImageOptions, "env" | "signal" | "baseImage"> {
  client: Client;
  /** Host and port of the platform, as in image references. */
  registry: string;
  /** The platform takes an image only with its base. */
  needsBase: boolean;
  /** What the platform runs: `linux/amd64`. Absent when it has not said so: then it is what this machine is. */
  platform: string | undefined;
  pushTo: RegistryChoice;
}

/** An image that the platform has. */
export interface PublishedImage {
  image: ImageReference;
  /** Gives it its name on this machine, with its bill of materials: what a deploy does while it waits. */
  keep(): Promise<void>;
}

/** The registry that an app's image goes to, if it goes to one. Throws INVALID_REGISTRY, INVALID_IMAGE_NAME of the base. */
export function registryOf(
  app: LoadedApp,
  { flag, fallback }: RegistryChoice,
  { env, signal, baseImage }: Pick<PrepareImageOptions, "env" | "signal" | "baseImage">,
): RegistryStore | undefined {
  const text = flag ?? app.image.registry ?? fallback;
  // The layers of a base that programs run on are in no registry yet.
  const base = app.image.programs ? undefined : baseOf(app, baseImage);
  const mountFrom = base === undefined ? undefined : parseImageName(base);
  return text === undefined ? undefined : registryAt(text, { env, signal, mountFrom });
}

/** Makes the app's image and brings it to its registry, for every target that it is meant for, and to the platform. */
export async function* publishImage(
  prepared: PreparedImage,
  options: PublishImageOptions,
): AsyncGenerator<DeployEvent, PublishedImage> {
  const { base, layout } = prepared;
  const registry = registryOf(prepared.app, options.pushTo, options);
  const platform = platformStore(options.client, { address: options.registry, signal: options.signal });
  try {
    const resolved = yield* resolvedOf(prepared);
    const { platforms } = prepared;
    const ownTarget = ownTargetOf(resolved, prepared, options);
    const place = { address: options.registry, needsBase: options.needsBase };
    const plan = planImage(resolved, { platforms, own: ownTarget, registry: registry?.address, platform: place });
    const deliveries = yield* deliver(plan, prepared, { platform, ...(registry ? { registry } : {}) });
    const { images } = deliveries.at(-1) as Delivery;
    const { address, image, isNamed, local } = images[0] as ImageCopy;
    return {
      image: { reference: `${address}/${image.reference}`, digest: image.digest },
      async keep() {
        if (!isNamed) await layout.tag(image.reference, image.descriptor);
        await local.bill();
      },
    };
  } finally {
    await registry?.close();
    await base?.close();
  }
}

/** What the image has to be for the platform. One that builds knows its own machine better than this one does. */
function ownTargetOf(
  { host }: Resolved,
  prepared: PreparedImage,
  { platform, needsBase }: PublishImageOptions,
): NpmTarget {
  const ownTarget = targetOf(platform, prepared, needsBase);
  return host && !needsBase && targetName(host) === (platform ?? targetName(host)) ? host : ownTarget;
}
