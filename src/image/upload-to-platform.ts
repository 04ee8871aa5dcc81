/** Brings an image to the platform. */
import type { Client } from "../client/client.ts";
import type { BuildProgress } from "../core/events.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, parseReference } from "../oci/model.ts";
import { pushImage } from "../oci/registry/push-image.ts";
import type { RepositoryOptions } from "../oci/registry/repository.ts";
import type { AppImage } from "./app-image.ts";
import type { Unnamed } from "./compose-image.ts";
import { platformError, platformRepository } from "./platform-repository.ts";

/**
 * Sends what the platform lacks, then the names: a name never stands for half an image. The platform is a registry like any
 * other here, on this machine and elsewhere: what broke off goes on where it stood.
 */
export async function upload(
  image: AppImage,
  environment: Unnamed | undefined,
  { layout, bring }: { layout: OciLayout; bring(blob: Descriptor): Promise<void> },
  { client, signal, pause }: { client: Client; signal: AbortSignal; pause?: RepositoryOptions["wait"] },
  onProgress: (step: BuildProgress) => void,
): Promise<void> {
  const report = (done: number, total: number) =>
    onProgress({ step: "upload", message: "uploading the image", done, total, unit: "bytes" });
  const push = (reference: string, descriptor: Descriptor) => {
    const { name, tag } = parseReference(reference);
    const repository = platformRepository(client, name, { signal, wait: pause });
    return pushImage({ repository, layout, image: descriptor, tag, bring, atOnce: true, onProgress: report });
  };
  try {
    if (environment) await push(environment.reference, environment.descriptor);
    await push(image.reference, image.descriptor);
  } catch (error) {
    throw platformError(error, client);
  }
}
