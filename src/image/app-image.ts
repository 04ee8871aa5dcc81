import type { TarEntry } from "../oci/archive/tar.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, EPOCH, hexOf, type ImageConfig, parseReference } from "../oci/model.ts";
import { checkAppPath } from "./copied-files.ts";
import { type EnvironmentImage, writeImage } from "./environment-image.ts";
import { type Layer, writeKnownLayer } from "./layer.ts";

/** A file of an app. `path` is relative to the app's folder, with `/`. */
export interface AppFile {
  path: string;
  bytes: Uint8Array;
  executable?: boolean | undefined;
}

/** How a container engine runs an app image. What is absent is taken from the environment image. */
export interface AppConfig {
  entrypoint?: readonly string[] | undefined;
  cmd?: readonly string[] | undefined;
  port?: number | undefined;
}

/** An app image in a layout. */
export interface AppImage {
  descriptor: Descriptor;
  /** Digest of the manifest: what a revision runs. */
  digest: string;
  /** `<environment's tag>-<12 hex digits of the app layer>`. */
  tag: string;
  /** `<name>:<tag>`. */
  reference: string;
  /** Every layer, lowest first; the last is the app's. */
  layers: Descriptor[];
  /** Every blob of the image, in the order in which a store should get them: layers, configuration, manifest. */
  blobs: Descriptor[];
  /** Bytes of all of them. */
  size: number;
}

/** gzip level of the app layer: it is made at every deploy, and it is small. */
const LEVEL = 4;

/** Packs the files of an app into its layer, which does not depend on the environment image below it. */
export async function packApp(files: readonly AppFile[], layout: OciLayout, signal?: AbortSignal): Promise<Layer> {
  const entries = files.map(({ path, bytes, executable }): TarEntry => {
    checkAppPath(path);
    return { type: "file", path: `app/${path}`, executable: executable === true, content: bytes };
  });
  return writeKnownLayer(layout, [{ type: "directory", path: "app" }, ...entries], {
    role: "app",
    level: LEVEL,
    signal,
  });
}

/** What an app image is made of. Only manifest and configuration of the environment image are needed. */
export interface AppImageOptions {
  environment: Pick<EnvironmentImage, "reference" | "manifest" | "config">;
  /** The app's own layer, which {@link packApp} makes. */
  layer: Layer;
  config: AppConfig;
  layout: OciLayout;
}

/**
 * Puts an app on top of an environment image. The same layer and configuration give the same digest everywhere. The image has
 * no name in the layout yet.
 */
export async function composeAppImage({ environment, layer, layout, ...app }: AppImageOptions): Promise<AppImage> {
  const config = appConfig(environment.config, layer.diffId, app.config);
  const layers = [...environment.manifest.layers, layer.descriptor];
  const { manifest, descriptor } = await writeImage(layout, config, layers);
  const base = parseReference(environment.reference);
  const tag = `${base.tag}-${hexOf(layer.descriptor.digest).slice(0, 12)}`;
  const reference = `${base.name}:${tag}`;
  const blobs = [...layers, manifest.config, descriptor];
  const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
  return { descriptor, digest: descriptor.digest, tag, reference, layers, blobs, size };
}

function appConfig(base: ImageConfig, diffId: string, app: AppConfig): ImageConfig {
  return {
    ...base,
    config: {
      ...base.config,
      ...(app.entrypoint ? { Entrypoint: [...app.entrypoint] } : {}),
      ...(app.cmd ? { Cmd: [...app.cmd] } : {}),
      ...(app.port === undefined ? {} : { ExposedPorts: { [`${app.port}/tcp`]: {} } }),
    },
    rootfs: { type: "layers", diff_ids: [...base.rootfs.diff_ids, diffId] },
    history: [...base.history, { created: EPOCH, created_by: "appctl: app" }],
  };
}
