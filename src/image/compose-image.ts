/** An app's image on this machine: its environment image, found or built, and the app on top of it. */
import type { DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, jsonBytes } from "../oci/model.ts";
import { attachReferrer, type Referrer } from "../oci/referrer.ts";
import { runConfig } from "./app-files.ts";
import { type AppImage, composeAppImage } from "./app-image.ts";
import type { BaseImage } from "./base-image.ts";
import { BOM_TYPE, billOfMaterials } from "./bill-of-materials.ts";
import type { FoundEnvironment } from "./builder/environment-builder.ts";
import type { EnvironmentImage, EnvironmentPlan } from "./environment-image.ts";
import type { StartedImage } from "./start-image.ts";

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
  const reference = named(planned);
  if (found) yield { type: "image", state: "found", reference, ...(found.unnamed ? { here: true } : {}) };
  else yield { type: "image", state: force ? "forced" : "missing", reference };
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
    composeAppImage({ environment: base, layer: await started.layer, config: runConfig(app), layout, signal });
  const image = await trace.time("put the app on top of it", put);
  let noted: Promise<Referrer> | undefined;
  const bill = () => {
    noted ??= trace.time("write its bill of materials", () => attachBill(image, started, plan, layout));
    noted.catch(() => undefined); // awaited by those who ask for it
    return noted;
  };
  return { image, environment: base, plan, unnamed: unnamed && { ...base, descriptor: unnamed }, there, bill };
}

/** What {@link composeImage} gives. */
export interface ComposedImage {
  /** It has no name in the layout yet. */
  image: AppImage;
  environment: EnvironmentImage;
  plan: EnvironmentPlan;
  unnamed: Unnamed | undefined;
  there: EnvironmentImage | undefined;
  /** Puts its bill of materials beside it; asked for again, gives the same. Nothing else has to wait for it. */
  bill(): Promise<Referrer>;
}

/** An environment image that the place it was looked for in does not know by its name. */
export interface Unnamed extends EnvironmentImage {
  descriptor: Descriptor;
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

/** What the terminal says while a base's registry does not answer. */
export const waitsForBase = ({ baseImage }: EnvironmentPlan) => `looking for the base image ${baseImage}`;
