import { AppctlError, ExitCode, isAppctlError } from "../../core/errors.ts";
import { readConfig, readManifest } from "../documents.ts";
import type { OciLayout } from "../layout.ts";
import { type Descriptor, type ImageConfig, type Manifest, MediaType } from "../model.ts";
import { isDescriptor } from "../shapes.ts";
import type { PlatformName } from "../target.ts";
import { inParallel } from "./push-image.ts";
import { damagedError, protocolError } from "./registry-error.ts";
import type { Repository } from "./repository.ts";

/** An image as a registry has it: its manifest and configuration, which are in the layout now. */
export interface FetchedImage {
  descriptor: Descriptor;
  manifest: Manifest;
  config: ImageConfig;
}

/**
 * Fetches the manifest and the configuration of what a tag or digest names, not its layers. Of an index it takes the image
 * for `platform`. Throws NOT_IN_REGISTRY, or NO_SUCH_PLATFORM.
 */
export async function fetchImage(
  repository: Repository,
  reference: string,
  layout: OciLayout,
  platform: PlatformName,
): Promise<FetchedImage> {
  const about = repository.purpose("fetched", reference);
  let found = await manifestOf(repository, reference, layout);
  let document = parsed(found.bytes);
  if (Array.isArray(document?.["manifests"])) {
    const chosen = chooseManifest(document["manifests"], platform, about.subject);
    await layout.writeBlob(found.bytes);
    found = await manifestOf(repository, chosen.digest, layout);
    document = parsed(found.bytes);
  }
  const { config, layers } = document ?? {};
  if (!isDescriptor(config) || !Array.isArray(layers) || !layers.every(isDescriptor)) {
    throw protocolError("something that is not the manifest of an image", about);
  }
  await fetchBlob(repository, config, layout);
  await layout.writeBlob(found.bytes);
  const manifest = await readManifest(layout, found.descriptor.digest);
  return { descriptor: found.descriptor, manifest, config: await readConfig(layout, config.digest) };
}

/** {@link fetchImage}, and the layers too: the whole image is then in the layout. */
export async function pullImage(
  repository: Repository,
  reference: string,
  layout: OciLayout,
  platform: PlatformName,
): Promise<FetchedImage> {
  const image = await fetchImage(repository, reference, layout, platform);
  await inParallel(image.manifest.layers, (layer) => fetchBlob(repository, layer, layout));
  return image;
}

/** Brings a blob into the layout; nothing is done when it is there. What does not have its digest or size is never kept. */
export async function fetchBlob(repository: Repository, blob: Descriptor, layout: OciLayout): Promise<void> {
  if (await layout.hasBlob(blob.digest, blob.size)) return;
  try {
    await layout.writeBlobStream(repository.blob(blob), blob.digest, blob.size);
  } catch (error) {
    if (!isAppctlError(error) || !["DIGEST_MISMATCH", "BLOB_TOO_LARGE"].includes(error.code)) throw error;
    throw damagedError(error.message, repository.purpose("fetched", blob.digest), error);
  }
}

/** A manifest; what a digest names may be in the layout already. */
async function manifestOf(repository: Repository, reference: string, layout: OciLayout) {
  if (!reference.startsWith("sha256:") || !(await layout.hasBlob(reference))) return repository.manifest(reference);
  const bytes = await layout.readBlob(reference);
  const { mediaType } = parsed(bytes) ?? {};
  const descriptor = { mediaType: typeof mediaType === "string" ? mediaType : MediaType.manifest, digest: reference };
  return { descriptor: { ...descriptor, size: bytes.length }, bytes };
}

/** The entry of an index for a platform. The variant counts where the platform has one. */
function chooseManifest(entries: unknown[], platform: PlatformName, subject: string): Descriptor {
  const offered = entries.filter(isDescriptor).map((entry) => {
    const own: Partial<PlatformName> = entry.platform ?? {};
    return { entry, own };
  });
  const fitting = offered.filter(({ own }) => own.os === platform.os && own.architecture === platform.architecture);
  const chosen = fitting.find(({ own }) => own.variant === platform.variant) ?? fitting[0];
  if (chosen) return chosen.entry;
  const names = offered.map(({ own }) => [own.os, own.architecture, own.variant].filter(Boolean).join("/"));
  throw new AppctlError({
    code: "NO_SUCH_PLATFORM",
    exit: ExitCode.usage,
    message: `${subject} has no image for ${platform.os}/${platform.architecture}`,
    hint: `it has ${[...new Set(names)].join(", ") || "none at all"}`,
  });
}

function parsed(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined; // its caller says that it is no manifest
  }
}
