/**
 * An image as the archive that `docker load` reads: moby's image specification v1.2, "Combined Image JSON + Filesystem
 * Changeset Format". Docker before version 25 reads no OCI layout. Layers stay compressed as they are.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { isAppctlError } from "../core/errors.ts";
import { type TarEntry, tar } from "../oci/archive/tar.ts";
import { readConfig, readManifest } from "../oci/documents.ts";
import type { OciLayout } from "../oci/layout.ts";
import { digestOf, type ImageConfig } from "../oci/model.ts";
import { LAYER_ROLE } from "./layer.ts";
import { type UnpackedLayer, unpackAppLayer } from "./unpack.ts";

/** An image that a container engine can load. */
export interface LoadableImage {
  /** Digests of the uncompressed layers, lowest first. */
  diffIds: string[];
  /**
   * The archive, piece by piece; the engine knows the image by `reference` then. Of the lowest `present` layers, which the
   * engine has, it holds empty files: the engine finds them by their digests and reads no file.
   */
  archive(reference: string, present: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** It has a base layer: without one there is no Node in it, and nothing can run. */
  hasBase: boolean;
}

/**
 * An image with an outline of its app layer in its place: everything in it, but the bytes of its files, which the engine gets
 * in another way. It is one for all images that differ in nothing else, with `id` made of all that it says.
 */
export interface OutlinedImage extends LoadableImage {
  id: string;
  files: UnpackedLayer["files"];
}

/** A layer as it lies in the store, or as it is. */
type StoredLayer = { file: string; size: number } | Uint8Array;

/** Reads the image with the manifest `digest`. Throws BLOB_NOT_FOUND, BLOB_DAMAGED and what its documents lack. */
export async function loadableImage(layout: OciLayout, digest: string): Promise<LoadableImage> {
  const { config, layers, roles } = await readImage(layout, digest);
  return loadable(config.bytes, config.rootfs.diff_ids, layers, roles);
}

/**
 * The same with an outline; the files of the app layer lie in `contentDir` then (see {@link unpackAppLayer}). Undefined when the
 * app layer is not the last, or holds what cannot be unpacked.
 */
export async function outlinedImage(
  layout: OciLayout,
  digest: string,
  contentDir: string,
): Promise<OutlinedImage | undefined> {
  const { config, layers, roles } = await readImage(layout, digest);
  const { diff_ids: all } = config.rootfs;
  if (roles.indexOf("app") !== roles.length - 1 || all.length !== roles.length) return undefined;
  const unpacked = await unpackAppLayer(layout, digest, contentDir).catch((error: unknown) => {
    if (!isAppctlError(error) || error.code !== "UNSUPPORTED_IMAGE") throw error;
  });
  if (!unpacked) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of tar(unpacked.outline)) pieces.push(piece);
  const archive = Buffer.concat(pieces);
  const diffIds = [...all.slice(0, -1), digestOf(archive)];
  const bytes = Buffer.from(JSON.stringify(outlinedConfig(config, diffIds)));
  return { ...loadable(bytes, diffIds, [...layers.slice(0, -1), archive], roles), files: unpacked.files };
}

/** Without what an app alone says of itself: its container gets the command, the port and the labels by themselves. */
function outlinedConfig({ bytes: _, ...config }: ReadConfig, diffIds: string[]): ImageConfig {
  const { Labels: _labels, ExposedPorts: _ports, Cmd: _command, ...rest } = config.config;
  return { ...config, config: rest, rootfs: { type: "layers", diff_ids: diffIds } };
}

/** A configuration, and the bytes that it was read from. */
type ReadConfig = ImageConfig & { bytes: Uint8Array };

async function readImage(layout: OciLayout, digest: string) {
  const manifest = await readManifest(layout, digest);
  const config = await readConfig(layout, manifest.config.digest);
  const bytes = await layout.readBlob(manifest.config.digest);
  const layers = await Promise.all(
    manifest.layers.map(async (layer): Promise<StoredLayer> => {
      if (!(await layout.hasBlob(layer.digest))) await layout.readBlob(layer.digest); // for its error
      const file = layout.blobPath(layer.digest);
      return { file, size: (await stat(file)).size };
    }),
  );
  const roles = manifest.layers.map(({ annotations }) => annotations?.[LAYER_ROLE]);
  return { config: { ...config, bytes }, layers, roles };
}

function loadable(config: Uint8Array, diffIds: string[], layers: StoredLayer[], roles: (string | undefined)[]) {
  const id = createHash("sha256").update(config).digest("hex");
  const file = (path: string, content: StoredLayer): TarEntry => ({ type: "file", path, content });
  const nameOf = (index: number) => `layer-${index}.tar`;
  const archive = (reference: string, present: number) => {
    const index = [{ Config: `${id}.json`, RepoTags: [reference], Layers: layers.map((_, at) => nameOf(at)) }];
    return tar([
      file("manifest.json", Buffer.from(JSON.stringify(index))),
      file(`${id}.json`, config),
      ...layers.map((layer, at) => file(nameOf(at), at < present ? new Uint8Array() : layer)),
    ]);
  };
  return { id, diffIds, archive, hasBase: roles.includes(undefined) };
}
