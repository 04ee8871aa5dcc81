/** Brings images of the platform to this machine's layout. */
import type { Client } from "../client/client.ts";
import { readConfig, readManifest } from "../image/documents.ts";
import type { EnvironmentImage } from "../image/environment.ts";
import type { OciLayout } from "../image/layout.ts";
import type { Descriptor } from "../image/oci.ts";
import { inParallel } from "../image/registry/push-image.ts";

/** An image's manifest and configuration, which are all that an app image needs to stand on it. */
export async function fetchFromPlatform(
  client: Client,
  { reference, digest }: { reference: string; digest: string },
  layout: OciLayout,
  signal: AbortSignal,
): Promise<EnvironmentImage> {
  await fetchBlob(client, digest, layout, signal);
  const manifest = await readManifest(layout, digest);
  await fetchBlob(client, manifest.config.digest, layout, signal);
  return { reference, manifest, config: await readConfig(layout, manifest.config.digest) };
}

/** The layers of an image that the layout lacks. */
export async function fetchLayers(
  client: Client,
  layers: readonly Descriptor[],
  layout: OciLayout,
  { signal, onProgress }: { signal: AbortSignal; onProgress(done: number, total: number): void },
): Promise<void> {
  const there = await Promise.all(layers.map(({ digest, size }) => layout.hasBlob(digest, size)));
  const missing = layers.filter((_, index) => !there[index]);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  await inParallel(missing, async ({ digest, size }) => {
    onProgress(done, total);
    const blob = await client.openBlob(digest, signal);
    await layout.writeBlobStream(blob, digest, size);
    done += size;
  });
}

async function fetchBlob(client: Client, digest: string, layout: OciLayout, signal: AbortSignal): Promise<void> {
  if (await layout.hasBlob(digest)) return;
  await layout.writeBlobStream([await client.getBlob(digest, signal)], digest);
}
