/** The only code that moves images: what a plan says goes from this machine, and from where its parts are, to the stores. */
import type { DeployEvent } from "../core/events.ts";
import type { Descriptor } from "../oci/model.ts";
import type { AppImage } from "./app-image.ts";
import type { BaseImage } from "./base-image.ts";
import { type ComposedImage, composeImage, type Prepared, putOnBase, withoutBase } from "./compose-image.ts";
import { copyImage } from "./copy-image.ts";
import type { EnvironmentPlan } from "./environment-image.ts";
import { writeIndex } from "./image-index.ts";
import type { Destination, ImagePlan } from "./image-plan.ts";
import type { ImageSource, ImageStore } from "./image-store.ts";
import type { StartedImage } from "./start-image.ts";

/** The stores of a plan's destinations. A registry is also where the platform's copy of an image comes from. */
export interface Stores {
  layout?: ImageStore;
  registry?: ImageStore & ImageSource;
  platform?: ImageStore;
}

/** An app's image in a store. */
export interface DeliveredImage {
  /** As it is in the store: there it may include its base. */
  image: AppImage;
  /** Its bill of materials there; absent when the store keeps none. */
  referrer: Descriptor | undefined;
  composed: ComposedImage;
}

/** What a store has of an app: an image, or an index of several. */
export interface Delivered extends Pick<Destination, "store"> {
  images: DeliveredImage[];
  /** With the address of the store. */
  reference: string;
  descriptor: Descriptor;
}

/**
 * Brings the image to every destination of the plan. An environment image that the store or this machine has is not built;
 * the app image is composed each time, which takes milliseconds.
 */
export async function* deliver(
  plan: ImagePlan,
  from: StartedImage,
  to: Stores,
): AsyncGenerator<DeployEvent, Delivered[]> {
  const delivered: Delivered[] = [];
  for (const destination of plan.destinations) {
    const targets = plan.targets.filter(({ reference }) => destination.targets.includes(reference));
    const added = yield* deliverTo({ ...destination, targets }, from, to, delivered);
    delivered.push(added);
    if (destination.store !== "registry" || plan.destinations.length === 1) continue;
    yield { type: "pushed", app: from.app.spec.name, reference: added.reference, digest: added.descriptor.digest };
  }
  return delivered;
}

type Planned = Omit<Destination, "targets"> & { targets: EnvironmentPlan[] };

/** What `--verbose` calls the way of an image to a store. */
const PHASES: Record<Destination["store"], string> = {
  layout: "name the image on this machine",
  registry: "push what the registry lacks",
  platform: "upload what the platform lacks",
};

async function* deliverTo(
  destination: Planned,
  from: StartedImage,
  to: Stores,
  delivered: readonly Delivered[],
): AsyncGenerator<DeployEvent, Delivered> {
  const { store: kind, address, targets } = destination;
  const { progress, trace, layout } = from;
  const store = to[kind] as ImageStore;
  const base = destination.withBase ? from.base : undefined;
  const earlier = new Map(delivered.flatMap(({ images }) => images).map((image) => [image.composed.planned, image]));
  const composed: ComposedImage[] = [];
  for (const plan of targets)
    composed.push(earlier.get(plan)?.composed ?? (yield* composeImage(from, plan, destination, store)));
  // A base that does not exist for one of the targets ends the deploy before anything is pushed.
  const prepared: Prepared[] = [];
  for (const image of composed) {
    const known = earlier.get(image.planned);
    const message = `looking for the base image ${image.plan.baseImage}`;
    const put = (below: BaseImage) => () => progress.unlessQuick(message, () => putOnBase(image, below, from, kind));
    if (known) prepared.push({ composed: image, image: base ? known.image : image.image });
    else if (!base) prepared.push(withoutBase(image));
    else prepared.push(yield* progress.during(trace.time("put the image on its base", put(base))));
  }
  const images: DeliveredImage[] = [];
  for (const { environment, image, composed } of prepared) {
    const isKnown = earlier.has(composed.planned);
    const others = [...(base && !isKnown ? [base] : []), ...(kind === "platform" && to.registry ? [to.registry] : [])];
    const content = { layout, others };
    const message = kind === "platform" ? "uploading the image" : `pushing the image to ${address}`;
    const onProgress = (done: number, total: number) =>
      progress.push({ step: "upload", message, done, total, unit: "bytes" });
    const send = async () => {
      if (environment) await copyImage(environment, content, store, { onProgress });
      const document = kind === "platform" ? undefined : composed.bill;
      const [copied] = await Promise.all([
        copyImage(image, content, store, { onProgress, document }),
        kind === "registry" ? layout.tag(image.reference, image.descriptor) : undefined,
      ]);
      return copied.document;
    };
    const document = yield* progress.during(trace.time(PHASES[kind], send));
    if (document && "refused" in document) {
      const message = `${address} does not take the bill of materials beside the image: ${document.refused.message}`;
      yield { type: "warning", message };
    }
    images.push({ image, composed, referrer: document && "descriptor" in document ? document.descriptor : undefined });
  }
  const at = (reference: string) => (address === "" ? reference : `${address}/${reference}`);
  const [only] = images;
  if (only && images.length === 1) {
    const { reference, descriptor } = only.image;
    return { store: kind, images, reference: at(reference), descriptor };
  }
  const parts = images.map(({ image, composed }) => ({ image, platform: composed.planned.platform }));
  const { reference, descriptor } = await writeIndex(parts, layout);
  const name = async () => {
    if ((await store.resolve(reference))?.digest === descriptor.digest) return;
    await store.name(reference, descriptor, await layout.readBlob(descriptor.digest));
  };
  yield* progress.during(trace.time("push the index of the platforms", name));
  return { store: kind, images, reference: at(reference), descriptor };
}
