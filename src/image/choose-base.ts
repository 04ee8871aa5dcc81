/** Picks the base of an app's image that is pushed or runs in containers. */
import type { LoadedApp } from "../app/validate.ts";
import { usageError } from "../core/errors.ts";
import type { BuildProgress } from "../core/events.ts";
import { BaseImage } from "./base-image.ts";
import { DEFAULT_BASE_IMAGE, DEFAULT_NODE_VERSION, NODE_VERSION_PLACE } from "./default-base.ts";

/** Stands for no base at all, as in a Dockerfile. */
const NO_BASE = "scratch";
/**
 * The name of an app's base: its own `baseImage`, else the one that is configured, else Node's. A configured one may have
 * `{nodeVersion}` in it. Undefined when it is to have none. Throws NODE_VERSION_UNUSED when `nodeVersion` cannot be honoured.
 */
export function baseOf({ image, spec }: LoadedApp, configured: string | undefined): string | undefined {
  const { baseImage, nodeVersion } = image;
  if (baseImage !== undefined) return baseImage === NO_BASE ? undefined : baseImage;
  const base = configured ?? DEFAULT_BASE_IMAGE;
  if (nodeVersion !== undefined && !base.includes(NODE_VERSION_PLACE)) {
    throw usageError(
      `${spec.name} asks for Node ${nodeVersion}, and the configured base image ${base} has no place for it`,
      {
        code: "NODE_VERSION_UNUSED",
        hint: `write the base image with ${NODE_VERSION_PLACE}, as in APPCTL_BASE_IMAGE="mirror.example.com/${DEFAULT_BASE_IMAGE}", or name one: new ImageSpec({ baseImage: … })`,
      },
    );
  }
  return base === NO_BASE ? undefined : base.replaceAll(NODE_VERSION_PLACE, nodeVersion ?? DEFAULT_NODE_VERSION);
}

/** Throws NO_BASE_IMAGE when an app has no base, for platforms that need one. */
export function requireBase(app: LoadedApp, configured: string | undefined): void {
  if (baseOf(app, configured) !== undefined) return;
  throw usageError(
    `the platform runs apps in containers, and the image of ${app.spec.name} has no base with Node in it: it is "${NO_BASE}"`,
    {
      code: "NO_BASE_IMAGE",
      hint: 'leave "scratch" out, or name a base: new ImageSpec({ …, baseImage: "node:24-slim" })',
    },
  );
}

/** Throws when an app's image has something to run on its base, for platforms that have no base below an app. */
export function refusePrograms(app: LoadedApp): void {
  if (!app.image.programs) return;
  throw usageError("the platform runs apps as processes of this machine; aptPackages and commands need containers", {
    code: "NEEDS_CONTAINERS",
    hint: "start a platform that has them: appctl platform start --runtime docker",
  });
}

/** Throws when an image without a base has something to run on it. */
export function refuseProgramsOnNothing({ image, spec }: LoadedApp): void {
  if (!image.programs) return;
  throw usageError(`aptPackages and commands run on a base image, and the image of ${spec.name} has none`, {
    code: "NO_BASE_IMAGE",
    hint: 'name one: new ImageSpec({ …, baseImage: "node:24-slim" })',
  });
}

/** What {@link baseImageOf} needs of the world. */
export interface BaseOptions {
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Name that is configured, for images that name none. */
  baseImage?: string | undefined;
}

/** The base of an app's image, if it has one; built when the image has something to run on it. */
export function baseImageOf(
  app: LoadedApp,
  { env, signal, baseImage }: BaseOptions,
  onProgress?: (step: BuildProgress) => void,
): BaseImage | undefined {
  const base = baseOf(app, baseImage);
  if (base === undefined) return undefined;
  const { programs, force } = app.image;
  return new BaseImage(base, env, signal, programs && { programs, force, onProgress });
}
