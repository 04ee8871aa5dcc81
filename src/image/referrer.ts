/** Documents about an image that stand beside it: artifacts whose manifest names the image as its subject (OCI 1.1). */
import { Buffer } from "node:buffer";
import { isDescriptor } from "./documents.ts";
import type { OciLayout } from "./layout.ts";
import { type Descriptor, hexOf, jsonBytes, type Manifest, MediaType, parseReference } from "./oci.ts";

/** An artifact about an image. */
export interface Referrer {
  /** Its manifest, as a list of referrers names it. */
  descriptor: Descriptor;
  /** Every blob of it, in the order in which a store should get them; the last is the manifest. */
  blobs: Descriptor[];
  /** The list of referrers under the tag `sha256-<hex>`, for layouts and for registries without the referrers API. */
  fallback: { reference: string; descriptor: Descriptor };
}

/** The empty JSON object that artifacts have as their configuration (image-spec, manifest.md). */
const EMPTY = Buffer.from("{}");
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";

interface ReferrersIndex {
  schemaVersion: 2;
  mediaType: string;
  manifests: Descriptor[];
}

/**
 * Stores `content` in `layout` as an artifact of the type `artifactType` about `image`, and lists it under the tag of the
 * referrers tag schema (distribution-spec). An earlier one of the same type is taken from the list. The same content gives
 * the same digests.
 */
export async function attachReferrer(
  layout: OciLayout,
  image: { reference: string; descriptor: Descriptor },
  artifactType: string,
  content: Uint8Array,
): Promise<Referrer> {
  const { mediaType, digest, size } = image.descriptor;
  const config = { mediaType: EMPTY_TYPE, ...(await layout.writeBlob(EMPTY)) };
  const layer = { mediaType: artifactType, ...(await layout.writeBlob(content)) };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.manifest,
    artifactType,
    config,
    layers: [layer],
    subject: { mediaType, digest, size },
  };
  const stored = await layout.writeBlob(jsonBytes(manifest));
  const descriptor: Descriptor = { mediaType: MediaType.manifest, ...stored, artifactType };
  const reference = `${parseReference(image.reference).name}:sha256-${hexOf(digest)}`;
  const others = (await listed(layout, reference)).filter((other) => other.artifactType !== artifactType);
  const manifests = [...others, descriptor].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const index: ReferrersIndex = { schemaVersion: 2, mediaType: MediaType.index, manifests };
  const list = { mediaType: MediaType.index, ...(await layout.writeBlob(jsonBytes(index))) };
  await layout.tag(reference, list);
  return { descriptor, blobs: [config, layer, descriptor], fallback: { reference, descriptor: list } };
}

/** What the list of referrers under `reference` has; nothing when there is none, or something else has that name. */
async function listed(layout: OciLayout, reference: string): Promise<Descriptor[]> {
  const found = await layout.resolve(reference);
  if (found?.mediaType !== MediaType.index || !(await layout.hasBlob(found.digest, found.size))) return [];
  const { manifests } = await layout.readJson<Partial<ReferrersIndex>>(found.digest);
  return Array.isArray(manifests) ? manifests.filter(isDescriptor) : [];
}
