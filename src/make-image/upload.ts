/** Brings an image to the platform. */
import { isAppctlError } from "../core/errors.ts";
import type { BuildProgress } from "../core/events.ts";
import type { AppImage } from "../image/app-image.ts";
import type { OciLayout } from "../image/layout.ts";
import type { Descriptor } from "../image/oci.ts";
import type { MakeImageOptions, Unnamed } from "./make-image.ts";

const PARALLEL_UPLOADS = 4;

/** Sends what the platform lacks, then the names: a name never stands for half an image. */
export async function upload(
  image: AppImage,
  environment: Unnamed | undefined,
  { layout, bring }: { layout: OciLayout; bring(blob: Descriptor): Promise<void> },
  { client, signal }: MakeImageOptions,
  onProgress: (step: BuildProgress) => void,
): Promise<void> {
  const parts = [...image.blobs, ...(environment ? [environment.manifest.config, environment.descriptor] : [])];
  const blobs = new Map(parts.map((blob) => [blob.digest, blob]));
  // A name stands for a whole image: one that is known already has everything.
  const named = await client.resolveImage(image.reference, signal);
  if (named?.digest === image.digest && !environment) return;
  const missing = await client.missingBlobs([...blobs.keys()], signal);
  let done = 0;
  const waiting = [...missing];
  const send = async () => {
    for (let digest = waiting.shift(); digest !== undefined; digest = waiting.shift()) {
      onProgress({ step: "upload", message: "uploading the image", done, total: missing.length });
      const blob = blobs.get(digest) as Descriptor;
      if (!(await layout.hasBlob(digest))) await bring(blob);
      try {
        await client.putBlob(digest, layout.blobPath(digest), blob.size, signal);
      } catch (error) {
        // The cache's own bytes are wrong: out of the way with them, so that they are made anew.
        throw isAppctlError(error) && error.code === "DIGEST_MISMATCH" ? await layout.setAside(digest) : error;
      }
      done++;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_UPLOADS }, send));
  if (environment) await client.tagImage(environment.reference, environment.descriptor.digest, signal);
  if (named?.digest !== image.digest) await client.tagImage(image.reference, image.digest, signal);
}
