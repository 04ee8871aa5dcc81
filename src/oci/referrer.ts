/** Documents about an image: artifacts whose manifest names the image as its subject (OCI 1.1). */
import { Buffer } from "node:buffer";
import type { OciLayout } from "./layout.ts";
import {
  type Descriptor,
  digestOf,
  hexOf,
  type ImageIndex,
  jsonBytes,
  type Manifest,
  MediaType,
  parseReference,
} from "./model.ts";
import { isDescriptor } from "./shapes.ts";

/** An artifact about an image. */
export interface Referrer {
  /** Its manifest, as a list of referrers names it. */
  descriptor: Descriptor;
  /** What its manifest is made of, for one about the same image under another digest: on its base, say. */
  parts: ReferrerParts;
  /** Every blob of it, in the order in which a store should get them; the last is the manifest. */
  blobs: Descriptor[];
  /** The list of referrers under the tag `sha256-<hex>`, for layouts and for registries without the referrers API. */
  fallback: { reference: string; descriptor: Descriptor };
}

/** What an artifact says, whichever image it is about. */
export interface ReferrerParts {
  artifactType: string;
  config: Descriptor;
  layer: Descriptor;
}

/** Annotation of artifacts that appctl made: in a list that others write, too, it replaces only its own. */
export const REFERRER_MARK = "appctl.referrer";

/** The empty JSON object that artifacts have as their configuration (image-spec, manifest.md). */
const EMPTY = Buffer.from("{}");
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";

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
  const config = { mediaType: EMPTY_TYPE, ...(await layout.writeBlob(EMPTY)) };
  const layer = { mediaType: artifactType, ...(await layout.writeBlob(content)) };
  const parts: ReferrerParts = { artifactType, config, layer };
  const { bytes, descriptor } = referrerTo(image.descriptor, parts);
  await layout.writeBlob(bytes);
  const reference = `${parseReference(image.reference).name}:${referrersTag(image.descriptor.digest)}`;
  const others = await listed(layout, reference);
  const index = withReferrer(others, descriptor, (other) => other.artifactType === artifactType);
  const list = { mediaType: MediaType.index, ...(await layout.writeBlob(jsonBytes(index))) };
  await layout.tag(reference, list);
  return { descriptor, parts, blobs: [config, layer, descriptor], fallback: { reference, descriptor: list } };
}

/** The manifest of an artifact about `subject`, and how a list of referrers names it. The same input gives the same bytes. */
export function referrerTo(subject: Descriptor, parts: ReferrerParts): { bytes: Buffer; descriptor: Descriptor } {
  const { mediaType, digest, size } = subject;
  const { artifactType, config, layer } = parts;
  const annotations = { [REFERRER_MARK]: "true" };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.manifest,
    artifactType,
    config,
    layers: [layer],
    subject: { mediaType, digest, size },
    annotations,
  };
  const bytes = jsonBytes(manifest);
  const stored = { digest: digestOf(bytes), size: bytes.length };
  return { bytes, descriptor: { mediaType: MediaType.manifest, ...stored, artifactType, annotations } };
}

/** The tag of the list of referrers of the image with that digest (distribution-spec, "Referrers Tag Schema"). */
export function referrersTag(digest: string): string {
  return `sha256-${hexOf(digest)}`;
}

/** The list of referrers `others`, as the API gives it and the tag schema keeps it, with `added`, which takes the place of those that `replaces` says. */
export function withReferrer(
  others: readonly Descriptor[],
  added: Descriptor,
  replaces: (other: Descriptor) => boolean,
): ImageIndex {
  const kept = others.filter((other) => other.digest !== added.digest && !replaces(other));
  const manifests = [...kept, added].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  return { schemaVersion: 2, mediaType: MediaType.index, manifests };
}

/** What the list of referrers under `reference` has; nothing when there is none, or something else has that name. */
async function listed(layout: OciLayout, reference: string): Promise<Descriptor[]> {
  const found = await layout.resolve(reference);
  if (found?.mediaType !== MediaType.index || !(await layout.hasBlob(found.digest, found.size))) return [];
  const { manifests } = await layout.readJson<Partial<ImageIndex>>(found.digest);
  return Array.isArray(manifests) ? manifests.filter(isDescriptor) : [];
}
