import { readManifest } from "../documents.ts";
import type { OciLayout } from "../layout.ts";
import type { Descriptor } from "../model.ts";
import { fromLayout, fromRepository } from "./blob-source.ts";
import type { Repository } from "./repository.ts";
import { CHUNK_SIZE, uploadBlob } from "./upload-blob.ts";

/** What {@link pushImage} needs. */
export interface PushOptions {
  repository: Repository;
  layout: OciLayout;
  /** The image's manifest. */
  image: Descriptor;
  tag: string;
  /** A repository of the same registry that may have blobs of the image. */
  mountFrom?: string | undefined;
  /** Where blobs come from that the layout does not have: they pass through, and are not kept. */
  elsewhere?: Repository | undefined;
  /** Brings a blob into the layout that it lacks, when the registry lacks it, too. */
  bring?: ((blob: Descriptor) => Promise<void>) | undefined;
  /** See {@link CHUNK_SIZE}. */
  chunkSize?: number | undefined;
  /** See `UploadOptions`; what the tag names is asked for together with the blobs, too. */
  atOnce?: boolean | undefined;
  /** Further work in the registry, side by side with the blobs: the tag comes when that has ended, too. */
  beside?: (() => Promise<void>) | undefined;
  /** Called with the bytes that have arrived, and those that have to, as they grow. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How many blobs are under way at once. */
const PARALLEL = 4;

/**
 * Brings an image of a layout to a registry under a tag: what is there already is not sent, the manifest comes last, so that
 * the tag never stands for half an image. Gives what was sent; nothing when the tag names the image already.
 */
export async function pushImage(options: PushOptions): Promise<Descriptor[]> {
  const { repository, layout, image, tag } = options;
  const named = repository.resolve(tag);
  named.catch(() => undefined); // told where it is awaited
  const isThere = async () => (await named)?.digest === image.digest;
  // One that is asked for everything at once is not made to wait for this answer.
  if (!options.atOnce && (await isThere())) return [];
  const manifest = await readManifest(layout, image.digest);
  const unique = new Map([...manifest.layers, manifest.config].map((blob) => [blob.digest, blob]));
  const sent: Descriptor[] = [];
  const arrived = new Map<string, number>();
  let total = 0;
  const report = () =>
    options.onProgress?.(
      [...arrived.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  const send = async (blob: Descriptor) => {
    if ((await repository.hasBlob(blob)) || (await isThere())) return;
    total += blob.size;
    report();
    if (options.bring && !(await layout.hasBlob(blob.digest, blob.size))) await options.bring(blob);
    const here = !options.elsewhere || (await layout.hasBlob(blob.digest, blob.size));
    const source = here ? fromLayout(layout, blob) : fromRepository(options.elsewhere as Repository, blob);
    const how = await uploadBlob(repository, source, {
      chunkSize: options.chunkSize ?? CHUNK_SIZE,
      mountFrom: options.mountFrom,
      atOnce: options.atOnce,
      onBytes: (bytes) => {
        arrived.set(blob.digest, bytes);
        report();
      },
    });
    if (how === "sent") sent.push(blob);
    else total -= blob.size;
  };
  const ended = await Promise.allSettled([inParallel([...unique.values()], send), options.beside?.()]);
  for (const each of ended) if (each.status === "rejected") throw each.reason;
  if (await isThere()) return [];
  await repository.putManifest(tag, await layout.readBlob(image.digest), image.mediaType);
  return [...sent, image];
}

/** Runs `work` on every item, a few at a time; the first failure ends it once what is under way has ended. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const failures: unknown[] = [];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined && failures.length === 0; item = waiting.shift()) {
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (failures.length > 0) throw failures[0];
}
