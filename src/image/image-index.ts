/** One name for the images of several platforms: an OCI image index (image-spec, image-index.md). */
import type { OciLayout } from "../oci/layout.ts";
import { canonicalJson, type Descriptor, type ImageIndex, jsonBytes, MediaType, parseReference } from "../oci/model.ts";
import { type NpmTarget, ociTarget, targetName } from "../packages/npm-target.ts";
import type { AppImage } from "./app-image.ts";
import { tagOf } from "./environment-image.ts";

/** An app image for a platform. */
export interface TargetImage {
  platform: NpmTarget;
  image: Pick<AppImage, "reference" | "descriptor">;
}

/** An index in a layout. */
export interface StoredIndex {
  /** `<name>:<tag>`. */
  reference: string;
  tag: string;
  descriptor: Descriptor;
}

/**
 * Writes the index of an app's images; its tag is `<tag of the environments>-<12 hex digits of the app layer>`, for the images
 * share their app layer. The same images give the same index, whatever their order. The layout does not have the name yet.
 */
export async function writeIndex(images: readonly TargetImage[], layout: OciLayout): Promise<StoredIndex> {
  const sorted = [...images].sort((a, b) => (targetName(a.platform) < targetName(b.platform) ? -1 : 1));
  const references = sorted.map(({ image }) => parseReference(image.reference));
  const [first] = references;
  if (first === undefined) throw new Error("an index needs images");
  const environments = references.map(({ tag }, index) => [
    targetName((sorted[index] as TargetImage).platform),
    tag.slice(0, tag.lastIndexOf("-")),
  ]);
  const appLayer = first.tag.slice(first.tag.lastIndexOf("-") + 1);
  const tag = `${tagOf(canonicalJson({ v: 1, environments }))}-${appLayer}`;
  const reference = `${first.name}:${tag}`;
  const manifests = sorted.map(({ platform, image: { descriptor } }): Descriptor => {
    const { mediaType, digest, size } = descriptor;
    return { mediaType, digest, size, platform: ociTarget(platform) };
  });
  const index: ImageIndex = { schemaVersion: 2, mediaType: MediaType.index, manifests };
  const descriptor = { mediaType: MediaType.index, ...(await layout.writeBlob(jsonBytes(index))) };
  return { reference, tag, descriptor };
}
