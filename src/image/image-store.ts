/** The seam between what an image is and where it goes. `deliver.ts` moves images over it, blob by blob with `copy-image.ts`. */
import type { Buffer } from "node:buffer";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import type { ReferrerParts } from "../oci/referrer.ts";
import type { BlobSource } from "../oci/registry/blob-source.ts";
import type { FetchedImage } from "../oci/registry/fetch-image.ts";
import type { PushedReferrer } from "../oci/registry/push-referrer.ts";
import type { OciTarget } from "../oci/target.ts";

/** Something that has content of images: a store, or the registry of a base image. */
export interface ImageSource {
  /** The content of a blob of the image `reference`; undefined for a blob that this source never has. Asks nobody. */
  open(reference: string, blob: Descriptor): BlobSource | undefined;
}

/**
 * A place that keeps images by name: this machine's layout, a registry, the platform. A `reference` is `<name>:<tag>`; it also
 * says which repository a blob belongs to. Methods throw an AppctlError when the store cannot be reached or refuses.
 */
export interface ImageStore {
  /** What precedes `/<name>:<tag>` in the names that others use; empty when there is no such part. */
  readonly address: string;
  /** It answers at once: a name and the blobs of an image are looked up at the same time. */
  readonly near: boolean;
  /** The manifest or index that `reference` names; undefined when the store has no such name. */
  resolve(reference: string): Promise<Descriptor | undefined>;
  /** True when the store has the blob, with that many bytes. */
  has(reference: string, blob: Pick<Descriptor, "digest" | "size">): Promise<boolean>;
  /** Takes a blob over from another repository of the same store, `origin`. False: the store needs the content. */
  mount(reference: string, blob: Descriptor, origin: BlobSource["origin"]): Promise<boolean>;
  /** Stores a blob. `onBytes` gets the number of bytes that have arrived, as it grows. */
  put(reference: string, blob: BlobSource, onBytes?: (bytes: number) => void): Promise<void>;
  /** Stores a manifest or index under `reference`. Throws when the store lacks a part of it: no name has half an image. */
  name(reference: string, manifest: Descriptor, bytes: Buffer): Promise<void>;
  /** Brings the manifest and the configuration of an image of the store into `layout`: enough to put an app on top of it. */
  read(reference: string, digest: string, layout: OciLayout, target: OciTarget): Promise<FetchedImage>;
  /** Stores a document about the image `subject`. `find`: only if the store lacks it. Absent: the store keeps none. */
  attach?(
    reference: string,
    subject: Descriptor,
    document: { parts: ReferrerParts; layout: OciLayout; find: boolean },
  ): Promise<PushedReferrer>;
}
