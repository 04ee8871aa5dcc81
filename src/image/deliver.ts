/** The only code that moves images: what a plan says goes from this machine, and from where its parts are, to the stores. */
import type { DeployEvent } from "../core/events.ts";
import type { Descriptor } from "../oci/model.ts";
import type { AppImage } from "./app-image.ts";
import { copyImage } from "./copy-image.ts";
import type { EnvironmentPlan } from "./environment-image.ts";
import { writeIndex } from "./image-index.ts";
import type { Destination, ImagePlan } from "./image-plan.ts";
import type { ImageSource, ImageStore } from "./image-store.ts";
import { type LocalImage, makeLocalImage, type OutgoingImage, putOnBase, withoutBase } from "./local-image.ts";
import type { PreparedImage } from "./prepare-image.ts";

/** The stores of a plan's destinations. A registry is also where the platform's copy of an image comes from. */
export interface Stores {
  layout?: ImageStore;
  registry?: ImageStore & ImageSource;
  platform?: ImageStore;
}

/** An app's image in a store. */
export interface ImageCopy {
  /** As it is in the store: there it may include its base. */
  image: AppImage;
  /** Of the first store that got the very same image. */
  address: string;
  /** The layout has it under its name, too. */
  isNamed: boolean;
  /** Its bill of materials there; absent when the store keeps none. */
  referrer: Descriptor | undefined;
  local: LocalImage;
}

/** What a store gets of an app: an image, or an index of several. */
export interface Delivery extends Pick<Destination, "store"> {
  images: ImageCopy[];
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
  from: PreparedImage,
  to: Stores,
): AsyncGenerator<DeployEvent, Delivery[]> {
  const deliveries: Delivery[] = [];
  for (const destination of plan.destinations) {
    const targets = plan.targets.filter(({ reference }) => destination.targets.includes(reference));
    const earlier = new Map(deliveries.flatMap(({ images }) => images).map((each) => [each.local.target, each]));
    const step: DeliveryStep = { ...destination, targets, earlier, from, to: to[destination.store] as ImageStore };
    const outgoing = yield* prepare(step);
    const images: ImageCopy[] = [];
    for (const each of outgoing) images.push(yield* send(each, step, to.registry));
    const named = yield* nameAll(images, step);
    deliveries.push({ store: destination.store, images, ...named });
    if (destination.store !== "registry" || plan.destinations.length === 1) continue;
    yield { type: "pushed", app: from.app.spec.name, reference: named.reference, digest: named.descriptor.digest };
  }
  return deliveries;
}

/** The way of an image to one destination. */
interface DeliveryStep extends Omit<Destination, "targets"> {
  targets: EnvironmentPlan[];
  /** The copies at the destinations before it. */
  earlier: ReadonlyMap<EnvironmentPlan, ImageCopy>;
  from: PreparedImage;
  to: ImageStore;
}

/** What `--verbose` calls the way of an image to a store. */
const PHASES: Record<Destination["store"], string> = {
  layout: "name the image on this machine",
  registry: "push what the registry lacks",
  platform: "upload what the platform lacks",
};

/** The image of each target, as it is to be in the store. A base that one of them does not have ends it before a push. */
async function* prepare(step: DeliveryStep): AsyncGenerator<DeployEvent, OutgoingImage[]> {
  const { store, withBase, targets, earlier, from, to } = step;
  const { progress, trace } = from;
  const locals: LocalImage[] = [];
  for (const plan of targets) locals.push(earlier.get(plan)?.local ?? (yield* makeLocalImage(from, plan, step, to)));
  const base = withBase ? from.base : undefined;
  const outgoing: OutgoingImage[] = [];
  for (const local of locals) {
    const copy = earlier.get(local.target);
    if (copy) outgoing.push({ local, image: base ? copy.image : local.image });
    else if (!base) outgoing.push(withoutBase(local));
    else {
      const message = `looking for the base image ${local.plan.baseImage}`;
      const put = () => progress.unlessQuick(message, () => putOnBase(local, base, from, store));
      outgoing.push(yield* progress.during(trace.time("put the image on its base", put)));
    }
  }
  return outgoing;
}

/** Copies the environment image, for others to build on, and the app image. A registry also gets the bill of materials. */
async function* send(
  { environment, image, local }: OutgoingImage,
  { store, address, withBase, earlier, from, to }: DeliveryStep,
  registry: Stores["registry"],
): AsyncGenerator<DeployEvent, ImageCopy> {
  const { layout, progress, trace } = from;
  const first = earlier.get(local.target);
  // The layers of an image in a registry come from it: the tag of its base may lead to another one by now.
  const base = withBase && !first ? from.base : undefined;
  const others = [base, store === "platform" ? registry : undefined].filter((source) => source !== undefined);
  const message = store === "platform" ? "uploading the image" : `pushing the image to ${address}`;
  const onProgress = (done: number, total: number) =>
    progress.push({ step: "upload", message, done, total, unit: "bytes" });
  const copy = async () => {
    if (environment) await copyImage(environment, { layout, others }, to, { onProgress });
    const document = store === "platform" ? undefined : local.bill;
    const [copied] = await Promise.all([
      copyImage(image, { layout, others }, to, { onProgress, document }),
      store === "registry" ? layout.tag(image.reference, image.descriptor) : undefined,
    ]);
    return copied.document;
  };
  const document = yield* progress.during(trace.time(PHASES[store], copy));
  if (document && "refused" in document) {
    const reason = document.refused.message;
    yield { type: "warning", message: `${address} does not take the bill of materials beside the image: ${reason}` };
  }
  return {
    image,
    address: first?.image.digest === image.digest ? first.address : address,
    isNamed: first !== undefined || store !== "platform",
    referrer: document && "descriptor" in document ? document.descriptor : undefined,
    local,
  };
}

/** The name that leads to the images: of several, to an index of them. */
async function* nameAll(
  images: readonly ImageCopy[],
  { address, from: { layout, progress, trace }, to }: DeliveryStep,
): AsyncGenerator<DeployEvent, Pick<Delivery, "reference" | "descriptor">> {
  const parts = images.map(({ image, local }) => ({ image, platform: local.target.platform }));
  const { reference, descriptor } = parts.length === 1 && parts[0] ? parts[0].image : await writeIndex(parts, layout);
  const name = async () => {
    if ((await to.resolve(reference))?.digest === descriptor.digest) return;
    await to.name(reference, descriptor, await layout.readBlob(descriptor.digest));
  };
  if (parts.length > 1) yield* progress.during(trace.time("push the index of the platforms", name));
  return { reference: address === "" ? reference : `${address}/${reference}`, descriptor };
}
