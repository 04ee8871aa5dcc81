/** Brings images of the platform to this machine's layout, as from any registry. */
import type { Client } from "../client/client.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, parseReference } from "../oci/model.ts";
import { fetchBlob, fetchImage } from "../oci/registry/pull-image.ts";
import { inParallel } from "../oci/registry/push-image.ts";
import { goPlatform, type Platform } from "../packages/npm-target.ts";
import type { EnvironmentImage } from "./environment-image.ts";
import { platformError, platformRepository } from "./platform-repository.ts";

/** An image of the platform, and where it goes. */
export interface PlatformImage {
  client: Client;
  reference: string;
  layout: OciLayout;
  signal: AbortSignal;
}

/** An image's manifest and configuration, which are all that an app image needs to stand on it. */
export async function fetchFromPlatform(
  image: PlatformImage,
  digest: string,
  platform: Platform,
): Promise<EnvironmentImage> {
  const { client, reference, layout } = image;
  try {
    const { manifest, config } = await fetchImage(repositoryOf(image), digest, layout, goPlatform(platform));
    return { reference, manifest, config };
  } catch (error) {
    throw platformError(error, client);
  }
}

/** The layers of an image that the layout lacks. */
export async function fetchLayers(
  image: PlatformImage,
  layers: readonly Descriptor[],
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const { client, layout } = image;
  const repository = repositoryOf(image);
  const there = await Promise.all(layers.map(({ digest, size }) => layout.hasBlob(digest, size)));
  const missing = layers.filter((_, index) => !there[index]);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  try {
    await inParallel(missing, async (layer) => {
      onProgress(done, total);
      await fetchBlob(repository, layer, layout);
      done += layer.size;
    });
  } catch (error) {
    throw platformError(error, client);
  }
}

function repositoryOf({ client, reference, signal }: PlatformImage) {
  return platformRepository(client, parseReference(reference).name, { signal });
}
