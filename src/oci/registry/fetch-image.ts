import { AppctlError, ExitCode } from "../../core/errors.ts";
import { readConfig, readManifest } from "../documents.ts";
import type { OciLayout } from "../layout.ts";
import { type Descriptor, type ImageConfig, type Manifest, MediaType } from "../model.ts";
import { isDescriptor } from "../shapes.ts";
import type { OciTarget } from "../target.ts";
import { fromRepository, intoLayout } from "./blob-source.ts";
import { protocolError } from "./registry-error.ts";
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
  platform: OciTarget,
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
  await intoLayout(layout, fromRepository(repository, config));
  await layout.writeBlob(found.bytes);
  const manifest = await readManifest(layout, found.descriptor.digest);
  return { descriptor: found.descriptor, manifest, config: await readConfig(layout, config.digest) };
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
function chooseManifest(entries: unknown[], platform: OciTarget, subject: string): Descriptor {
  const offered = entries.filter(isDescriptor).map((entry) => {
    const target: Partial<OciTarget> = entry.platform ?? {};
    return { entry, target };
  });
  const fitting = offered.filter(
    ({ target }) => target.os === platform.os && target.architecture === platform.architecture,
  );
  const chosen = fitting.find(({ target }) => target.variant === platform.variant) ?? fitting[0];
  if (chosen) return chosen.entry;
  const names = offered.map(({ target }) => [target.os, target.architecture, target.variant].filter(Boolean).join("/"));
  throw new AppctlError({
    code: "NO_SUCH_PLATFORM",
    exit: ExitCode.usage,
    message: `${subject} has no image for ${platform.os}/${platform.architecture}`,
    hint: `it has ${[...new Set(names)].join(", ") || "no images"}`,
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
