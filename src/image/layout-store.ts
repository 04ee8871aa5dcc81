import type { Buffer } from "node:buffer";
import { readConfig, readManifest } from "../oci/documents.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import { type ReferrerParts, referrerTo } from "../oci/referrer.ts";
import { type BlobSource, intoLayout } from "../oci/registry/blob-source.ts";
import type { FetchedImage } from "../oci/registry/fetch-image.ts";
import type { PushedReferrer } from "../oci/registry/push-referrer.ts";
import { isDescriptor } from "../oci/shapes.ts";
import type { ImageStore } from "./image-store.ts";

/** The images of this machine. All names share one pool of blobs. */
export class LayoutStore implements ImageStore {
  readonly near = true;
  readonly address: string;
  readonly #layout: OciLayout;

  /** `address` is where the images go when somebody pushes them later. */
  constructor(layout: OciLayout, address = "") {
    this.#layout = layout;
    this.address = address;
  }

  /** An image of which a part is missing, or cut off, counts as none: it is built or fetched again. */
  async resolve(reference: string): Promise<Descriptor | undefined> {
    const found = await this.#layout.resolve(reference);
    if (!found || !(await this.has(reference, found))) return undefined;
    const parts = partsOf(await this.#layout.readBlob(found.digest));
    const exist = await Promise.all(parts.map((part) => this.has(reference, part)));
    return exist.every(Boolean) ? found : undefined;
  }

  has(_: string, { digest, size }: Pick<Descriptor, "digest" | "size">): Promise<boolean> {
    return this.#layout.hasBlob(digest, size);
  }

  mount(reference: string, blob: Descriptor): Promise<boolean> {
    return this.has(reference, blob);
  }

  async put(_: string, blob: BlobSource, onBytes?: (bytes: number) => void): Promise<void> {
    await intoLayout(this.#layout, blob);
    onBytes?.(blob.size);
  }

  async name(reference: string, manifest: Descriptor, bytes: Buffer): Promise<void> {
    await this.#layout.writeBlob(bytes);
    await this.#layout.tag(reference, manifest, partsOf(bytes));
  }

  /** Whoever makes a document has attached it in the layout already. */
  async attach(_: string, subject: Descriptor, { parts }: { parts: ReferrerParts }): Promise<PushedReferrer> {
    return { descriptor: referrerTo(subject, parts).descriptor };
  }

  async read(_: string, digest: string): Promise<FetchedImage> {
    const manifest = await readManifest(this.#layout, digest);
    const { length: size } = await this.#layout.readBlob(digest);
    const config = await readConfig(this.#layout, manifest.config.digest);
    return { descriptor: { mediaType: manifest.mediaType, digest, size }, manifest, config };
  }
}

/** What a manifest or an index names. */
function partsOf(bytes: Buffer): Descriptor[] {
  const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString("utf8"));
  return [config, ...layers, ...manifests].filter(isDescriptor);
}
