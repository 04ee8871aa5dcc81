/** An app's image in this machine's layout: its environment image, found or built, and the app on top of it. */
import type { DeployEvent } from "../core/events.ts";
import type { OciLayout } from "../oci/layout.ts";
import { jsonBytes } from "../oci/model.ts";
import { attachReferrer, type Referrer } from "../oci/referrer.ts";
import type { FetchedImage } from "../oci/registry/fetch-image.ts";
import { ociTarget } from "../packages/npm-target.ts";
import { runConfig } from "./app-files.ts";
import { type AppImage, composeAppImage } from "./app-image.ts";
import { type BaseImage, onBase } from "./base-image.ts";
import { BOM_TYPE, billOfMaterials } from "./bill-of-materials.ts";
import { type EnvironmentImage, type EnvironmentPlan, loadEnvironment, writeEnvironment } from "./environment-image.ts";
import type { Destination } from "./image-plan.ts";
import type { ImageStore } from "./image-store.ts";
import { LAYER_ROLE } from "./layer.ts";
import { LayoutStore } from "./layout-store.ts";
import type { PreparedImage } from "./prepare-image.ts";

/** An app's image in the layout. It has no name in it yet. */
export interface LocalImage {
  /** The plan, and what was built: a platform may have given packages other versions meanwhile. */
  target: EnvironmentPlan;
  plan: EnvironmentPlan;
  /** Without the base. Its layers may be in the store alone. */
  environment: EnvironmentImage;
  /** The environment image in the store; undefined when it lacks that. In a registry it is on its base. */
  existing: EnvironmentImage | undefined;
  /** The app on `environment`. */
  image: AppImage;
  /** Attaches the bill of materials, once. Nothing else waits for it. */
  bill(): Promise<Referrer>;
}

/** An app image on its way to a store, with the environment image where the store lacks that. */
export interface OutgoingImage {
  local: LocalImage;
  image: AppImage;
  environment?: EnvironmentImage | undefined;
}

/** The app image on an environment image that the store or this machine has, or that is built now. */
export async function* makeLocalImage(
  { app, builder, context, layer, contents, layout, trace, progress, ...from }: PreparedImage,
  target: EnvironmentPlan,
  { store: kind, address, withBase }: Pick<Destination, "store" | "address" | "withBase">,
  store: ImageStore,
): AsyncGenerator<DeployEvent, LocalImage> {
  const named = ({ reference }: EnvironmentPlan) => (address === "" ? reference : `${address}/${reference}`);
  const { force = false } = app.image;
  // What runs on a base is a part of building an image, also of one that stays here without its base.
  const base = withBase || kind === "layout" ? from.base : undefined;
  const find = async () => {
    const found = await findEnvironment(target, store, layout, withBase && kind === "registry");
    const isOnBase = kind === "registry" && found?.existing;
    return isOnBase || !(await base?.isToBeMade(layout, target.platform)) ? found : undefined;
  };
  const look = () => progress.unlessQuick(`looking for ${named(target)}`, find);
  let found = force ? undefined : yield* progress.during(trace.time("look for the environment image", look));
  const reference = named(target);
  if (found) yield { type: "image", state: "found", reference, ...(found.existing ? {} : { here: true }) };
  else yield { type: "image", state: force ? "forced" : "missing", reference };
  if (!found) {
    const build = async () => {
      const built = await builder.build(target, { layout, whole: kind !== "platform" });
      await base?.make(layout, target.platform);
      return { ...built, existing: undefined };
    };
    found = yield* progress.during(trace.time("build the environment image", build));
    yield { type: "image", state: "built", reference: named(found.plan) };
  }
  const { plan, environment } = found;
  const put = async () => composeAppImage({ environment, layer: await layer, config: runConfig(app), layout });
  const image = await trace.time("put the app on top of it", put);
  let attached: Promise<Referrer> | undefined;
  const bill = () => {
    const content = () =>
      jsonBytes(billOfMaterials({ name: app.spec.name, contents, lock: plan.lock.lock, platform: plan.platform }));
    const attach = async () => attachReferrer(layout, image, BOM_TYPE, content());
    attached ??= trace.time("write its bill of materials", attach);
    attached.catch(() => undefined); // thrown where it is awaited
    return attached;
  };
  return { ...found, target, image, bill };
}

/** The image as the platform or a process runs it: without the base. */
export function withoutBase(local: LocalImage): OutgoingImage {
  return { local, image: local.image, environment: local.existing ? undefined : local.environment };
}

/**
 * The image on its base. A registry has the environment image on the base as well, and keeps it as it is. For a platform the
 * base is fetched once for each environment image: until that changes, it does not matter where the tag of the base leads.
 */
export async function putOnBase(
  local: LocalImage,
  base: BaseImage,
  { app, layer, layout }: Pick<PreparedImage, "app" | "layer" | "layout">,
  kind: Destination["store"],
): Promise<OutgoingImage> {
  const { plan, environment, existing } = local;
  const isPushed = kind === "registry";
  const name = `based/${plan.reference}`;
  const basedImage = isPushed ? existing : app.image.force ? undefined : await loadEnvironment(layout, name);
  const based = basedImage ?? (await onBase(environment, await base.fetch(layout, plan.platform), layout));
  if (!isPushed && !basedImage) await layout.tag(name, based.descriptor);
  const upper = { ...based, reference: plan.reference };
  const image = await composeAppImage({ environment: upper, layer: await layer, config: runConfig(app), layout });
  return { local, image, environment: existing ? undefined : isPushed ? upper : environment };
}

/** The environment image as the store has it, else as this machine has it whole. `isOnBase`: in the store it has its base. */
async function findEnvironment(
  plan: EnvironmentPlan,
  store: ImageStore,
  layout: OciLayout,
  isOnBase: boolean,
): Promise<Pick<LocalImage, "plan" | "environment" | "existing"> | undefined> {
  const { reference, platform } = plan;
  const read = async (from: ImageStore) => {
    const found = await from.resolve(reference);
    return found && { reference, ...(await from.read(reference, found.digest, layout, ociTarget(platform))) };
  };
  const existing = await read(store);
  if (existing && !isOnBase) return { plan, environment: existing, existing };
  const local = await read(new LayoutStore(layout));
  const environment = local ?? (existing && (await takeOffBase(plan, existing, layout)));
  return environment && { plan, environment, existing };
}

/** The environment image of a plan, made of the layers that an image on a base has above it. */
function takeOffBase(plan: EnvironmentPlan, { manifest, config }: FetchedImage, layout: OciLayout) {
  const layers = manifest.layers.flatMap((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    return descriptor.annotations?.[LAYER_ROLE] === undefined || diffId === undefined ? [] : [{ descriptor, diffId }];
  });
  return writeEnvironment(plan, layers, layout);
}
