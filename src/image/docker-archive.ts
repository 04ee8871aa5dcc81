/**
 * An image as the archive that `docker load` reads: moby's image specification v1.2, "Combined Image JSON + Filesystem
 * Changeset Format". Docker before version 25 reads no OCI layout. Layers stay compressed as they are.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { readConfig, readManifest } from "./documents.ts";
import type { OciLayout } from "./layout.ts";
import { type ImageConfig, LAYER_ROLE } from "./oci.ts";
import { type TarEntry, tar } from "./tar.ts";

/** What a container engine can load. */
export interface LoadableStack {
  /** Digests of the uncompressed layers, lowest first. */
  diffIds: string[];
  /**
   * The archive, piece by piece; the engine knows the image by `reference` then. Of the lowest `present` layers, which the
   * engine has, it holds empty files: the engine finds them by their digests and reads no file.
   */
  archive(reference: string, present: number): AsyncGenerator<Uint8Array, void, undefined>;
}

/** An image that a container engine can load. */
export interface LoadableImage extends LoadableStack {
  /** It has a base layer: without one there is no Node in it, and nothing can run. */
  hasBase: boolean;
  /**
   * The image without its app layer, for an engine that gets the app's files in another way: one for all apps that differ in
   * nothing else, with `id` made of all that it says. Undefined when the app layer is not the last.
   */
  below: (LoadableStack & { id: string }) | undefined;
}

/** A layer as it lies in the store. */
interface StoredLayer {
  file: string;
  size: number;
}

/** Reads the image with the manifest `digest`. Throws BLOB_NOT_FOUND, BLOB_DAMAGED and what its documents lack. */
export async function loadableImage(layout: OciLayout, digest: string): Promise<LoadableImage> {
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
  const { diff_ids: diffIds } = config.rootfs;
  const isOnTop = roles.indexOf("app") === roles.length - 1 && diffIds.length === roles.length;
  return {
    ...stackOf(bytes, diffIds, layers),
    hasBase: roles.includes(undefined),
    below: isOnTop ? belowApp(config, layers.slice(0, -1)) : undefined,
  };
}

function stackOf(config: Uint8Array, diffIds: string[], layers: StoredLayer[]): LoadableStack & { id: string } {
  const id = createHash("sha256").update(config).digest("hex");
  return {
    id,
    diffIds,
    archive: (reference, present) => tar(archiveEntries({ id, bytes: config }, layers, reference, present)),
  };
}

/** Without what an app alone says of itself: its container gets the command, the port and the labels by themselves. */
function belowApp(config: ImageConfig, layers: StoredLayer[]): LoadableStack & { id: string } {
  const { Labels: _labels, ExposedPorts: _ports, Cmd: _command, ...rest } = config.config;
  const diffIds = config.rootfs.diff_ids.slice(0, -1);
  const { history = [] } = config;
  const below: ImageConfig = {
    ...config,
    config: rest,
    rootfs: { type: "layers", diff_ids: diffIds },
    history: history.slice(0, -1),
  };
  return stackOf(Buffer.from(JSON.stringify(below)), diffIds, layers);
}

function archiveEntries(
  { id, bytes }: { id: string; bytes: Uint8Array },
  layers: StoredLayer[],
  reference: string,
  present: number,
): TarEntry[] {
  const names = layers.map((_, at) => `layer-${at}.tar`);
  const index = [{ Config: `${id}.json`, RepoTags: [reference], Layers: names }];
  return [
    { type: "file", path: "manifest.json", content: Buffer.from(JSON.stringify(index)) },
    { type: "file", path: `${id}.json`, content: bytes },
    ...layers.map(
      (layer, at): TarEntry => ({
        type: "file",
        path: names[at] as string,
        content: at < present ? new Uint8Array() : layer,
      }),
    ),
  ];
}
