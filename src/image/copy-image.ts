import { inParallel } from "../core/in-parallel.ts";
import { readManifest } from "../oci/documents.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { Descriptor } from "../oci/model.ts";
import type { Referrer } from "../oci/referrer.ts";
import { fromLayout } from "../oci/registry/blob-source.ts";
import type { PushedReferrer } from "../oci/registry/push-referrer.ts";
import type { AppImage } from "./app-image.ts";
import type { ImageSource, ImageStore } from "./image-store.ts";

/** Where the content of an image is: manifest and configuration in the layout, layers there or in one of the others. */
export interface ImageContent {
  layout: OciLayout;
  /** The first that has a blob gives it: to a repository of the same registry by a mount, else the bytes pass through. */
  others?: readonly ImageSource[];
}

/** What {@link copyImage} does besides. */
export interface CopyOptions {
  /** Makes a document about the image, which the store gets before the image has its name. */
  document?: (() => Promise<Referrer>) | undefined;
  /** Called with the bytes that have arrived, and those that have to, as they grow. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@link copyImage} sent, nothing if the store had the image, and the document in the store. */
export interface CopyResult {
  sent: Descriptor[];
  document: PushedReferrer | undefined;
}

/**
 * Brings an image to a store under its name. What the store has is not sent. The name comes last, so that it never leads to
 * half an image. Throws BLOB_NOT_FOUND when nobody has a blob that the store lacks.
 */
export async function copyImage(
  { reference, descriptor }: Pick<AppImage, "reference" | "descriptor">,
  { layout, others = [] }: ImageContent,
  to: ImageStore,
  { document, onProgress }: CopyOptions = {},
): Promise<CopyResult> {
  const lookup = to.resolve(reference);
  lookup.catch(() => undefined); // thrown where it is awaited
  const hasImage = async () => (await lookup)?.digest === descriptor.digest;
  const attach = async (find: boolean) =>
    document && to.attach?.(reference, descriptor, { parts: (await document()).parts, layout, find });
  if (!to.near && (await hasImage())) return { sent: [], document: await attach(true) };
  const { config, layers } = await readManifest(layout, descriptor.digest);
  const sent: Descriptor[] = [];
  const bytesOf = new Map<string, number>();
  let total = 0;
  const report = () =>
    onProgress?.(
      [...bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  const send = async (blob: Descriptor) => {
    if ((await to.has(reference, blob)) || (await hasImage())) return;
    total += blob.size;
    report();
    const [other] = others.flatMap((source) => source.open(reference, blob) ?? []);
    if (other?.origin && (await to.mount(reference, blob, other.origin))) {
      total -= blob.size;
      return;
    }
    const isLocal = !other || (await layout.hasBlob(blob.digest, blob.size));
    await to.put(reference, isLocal ? fromLayout(layout, blob) : other, (bytes) => {
      bytesOf.set(blob.digest, bytes);
      report();
    });
    sent.push(blob);
  };
  const blobs = new Map([...layers, config].map((blob) => [blob.digest, blob]));
  const results = await Promise.allSettled([inParallel([...blobs.values()], send), attach(false)]);
  for (const each of results) if (each.status === "rejected") throw each.reason;
  const pushed = results[1].status === "fulfilled" ? results[1].value : undefined;
  if (await hasImage()) return { sent: [], document: pushed };
  await to.name(reference, descriptor, await layout.readBlob(descriptor.digest));
  return { sent: [...sent, descriptor], document: pushed };
}
