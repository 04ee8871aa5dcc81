/**
 * An image as the archive that `docker load` reads: moby's image specification v1.2, "Combined Image JSON + Filesystem
 * Changeset Format". Docker before version 25 reads no OCI layout. Layers stay compressed as they are.
 */
import { stat } from "node:fs/promises";
import { readConfig, readManifest } from "./documents.ts";
import type { OciLayout } from "./layout.ts";
import { hexOf, LAYER_ROLE } from "./oci.ts";
import { type TarEntry, tar } from "./tar.ts";

/** An image that a container engine can load. */
export interface LoadableImage {
  /** Digests of the uncompressed layers, lowest first. */
  diffIds: string[];
  /** It has a base layer: without one there is no Node in it, and nothing can run. */
  hasBase: boolean;
  /**
   * The archive, piece by piece; the engine knows the image by `reference` then. Of the lowest `present` layers, which the
   * engine has, it holds empty files: the engine finds them by their digests and reads no file.
   */
  archive(reference: string, present: number): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Reads the image with the manifest `digest`. Throws BLOB_NOT_FOUND, BLOB_DAMAGED and what its documents lack. */
export async function loadableImage(layout: OciLayout, digest: string): Promise<LoadableImage> {
  const manifest = await readManifest(layout, digest);
  const { rootfs } = await readConfig(layout, manifest.config.digest);
  const config = await layout.readBlob(manifest.config.digest);
  const layers = await Promise.all(
    manifest.layers.map(async (layer) => {
      if (!(await layout.hasBlob(layer.digest))) await layout.readBlob(layer.digest); // for its error
      const file = layout.blobPath(layer.digest);
      return { file, size: (await stat(file)).size };
    }),
  );
  return {
    diffIds: rootfs.diff_ids,
    hasBase: manifest.layers.some(({ annotations }) => annotations?.[LAYER_ROLE] === undefined),
    archive: (reference, present) =>
      tar(archiveEntries({ config: manifest.config.digest, bytes: config }, layers, reference, present)),
  };
}

function archiveEntries(
  { config, bytes }: { config: string; bytes: Uint8Array },
  layers: { file: string; size: number }[],
  reference: string,
  present: number,
): TarEntry[] {
  const names = layers.map((_, at) => `layer-${at}.tar`);
  const index = [{ Config: `${hexOf(config)}.json`, RepoTags: [reference], Layers: names }];
  return [
    { type: "file", path: "manifest.json", content: Buffer.from(JSON.stringify(index)) },
    { type: "file", path: `${hexOf(config)}.json`, content: bytes },
    ...layers.map(
      (layer, at): TarEntry => ({
        type: "file",
        path: names[at] as string,
        content: at < present ? new Uint8Array() : layer,
      }),
    ),
  ];
}
