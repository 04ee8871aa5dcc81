/** What `appctl build` does: an app's image in the images of this machine, and in a registry when that is asked for. */
import type { LoadedFile } from "../app/load.ts";
import { selectApp } from "../app/select.ts";
import type { LoadedApp } from "../app/validate.ts";
import { type AppctlError, usageError } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import { type EnvironmentPlan, isWhole, loadEnvironment } from "../image/environment.ts";
import type { OciLayout } from "../image/layout.ts";
import { LAYER_ROLE } from "../image/oci.ts";
import {
  composeImage,
  type FoundEnvironment,
  imageCache,
  inRegistry,
  pushComposed,
  type RegistryChoice,
  registryOf,
  type StartImageOptions,
  startImage,
} from "./make-image.ts";

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
}

/** Builds an app's image into the images of this machine; with `push`, brings it to its registry. No platform is asked. */
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
  const registry = registryOf(app, options.pushTo, options, (step) => started.progress.push(step));
  if (options.push && !registry) throw noRegistryError(app);
  const started = startImage(app, loaded, options);
  const layout = imageCache(options.cacheDir);
  const pushed = options.push && registry !== undefined;
  try {
    const find = (plan: EnvironmentPlan) => (pushed ? inRegistry(registry, plan, layout) : onThisMachine(plan, layout));
    const place = { text: registry?.text ?? "", find, layout, trace };
    const composed = yield* composeImage(started, place);
    const image = pushed ? yield* pushComposed(registry, composed, started, { layout, trace }) : composed.image;
    await composed.bill;
    const { tag, digest, size, layers } = image;
    const { reference } = composed.image;
    return {
      reference: place.text === "" ? reference : `${place.text}/${reference}`,
      tag,
      digest,
      size,
      layers: layers.map(({ digest, size, mediaType, annotations }) => {
        const role = annotations?.[LAYER_ROLE];
        return { digest, size, mediaType, ...(role === undefined ? {} : { role }) };
      }),
      pushed,
    };
  } finally {
    await registry?.close();
  }
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
