import { stat } from "node:fs/promises";
import * as schemas from "../../contract/schemas.ts";
import type { ImageInfo } from "../../contract/types.ts";
import { isAppctlError } from "../../core/errors.ts";
import type { OciLayout } from "../../oci/layout.ts";
import { type Descriptor, parseReference } from "../../oci/model.ts";
import { isDescriptor } from "../../oci/shapes.ts";
import { RECENT_MS } from "../images/image-garbage.ts";
import { ProblemError } from "../problem.ts";
import type { AppStore } from "../store/app-store.ts";
import { type ApiRequest, readBody } from "./context.ts";

/** Every image that has a name in the platform's store. Documents about images have one for their lists: no images. */
export async function listImages({ services: { images, store } }: ApiRequest): Promise<{ images: ImageInfo[] }> {
  const users = revisionsByDigest(store);
  const named = (await images.references()).filter(({ reference }) => !/:sha256-[0-9a-f]{64}$/.test(reference));
  const all = named.map(async ({ reference, descriptor: { digest } }): Promise<ImageInfo> => {
    const { name: repository, tag } = parseReference(reference);
    const created = await stat(images.blobPath(digest)).catch(() => undefined);
    return {
      repository,
      tag,
      digest,
      size: (await sizeOf(images, digest)) ?? null,
      createdAt: created?.mtime.toISOString() ?? null,
      revisions: users.get(digest) ?? [],
    };
  });
  return { images: await Promise.all(all) };
}

/** Removes what no revision needs and nobody has asked for of late. */
export async function pruneImages(request: ApiRequest) {
  const { dryRun = false } = await readBody(request, schemas.PruneRequest);
  const { images, blobs, bytes, unreadable } = await request.services.garbage.collect({ keptMs: RECENT_MS, dryRun });
  if (unreadable === undefined) return { images, blobs, bytes };
  const message = `the image ${unreadable}, which a revision needs, is damaged, so unneeded images cannot be found; deploy its app again`;
  throw new ProblemError("IMAGE_DAMAGED", message);
}

function revisionsByDigest(store: AppStore): Map<string, ImageInfo["revisions"]> {
  const users = new Map<string, ImageInfo["revisions"]>();
  for (const { id, project, domain, name: app, currentRevision } of store.all()) {
    for (const { name: revision, digest } of store.revisions(id)) {
      const use = { project, domain, app, revision, active: revision === currentRevision };
      users.set(digest, [...(users.get(digest) ?? []), use]);
    }
  }
  return users;
}

/** Bytes of a manifest and of all that it names, each once; undefined when it cannot be read. */
async function sizeOf(images: OciLayout, digest: string): Promise<number | undefined> {
  const sizes = new Map<string, number>();
  const add = async (each: string): Promise<void> => {
    if (sizes.has(each)) return;
    const bytes = await images.readBlob(each);
    sizes.set(each, bytes.length);
    const { config, layers, manifests } = (JSON.parse(bytes.toString("utf8")) ?? {}) as Record<string, unknown>;
    for (const part of listOf([config, ...(Array.isArray(layers) ? layers : [])])) sizes.set(part.digest, part.size);
    for (const part of listOf(manifests)) await add(part.digest);
  };
  try {
    await add(digest);
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  } catch (error) {
    // Missing, damaged, or no document: there is a name, and nothing that could be measured.
    if (isAppctlError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function listOf(value: unknown): Descriptor[] {
  return Array.isArray(value) ? value.filter(isDescriptor) : [];
}
