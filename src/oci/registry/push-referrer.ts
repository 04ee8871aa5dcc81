/** Brings an artifact about an image to the image's repository (distribution-spec 1.1, "Pushing Manifests with Subject"). */

import type { Buffer } from "node:buffer";
import { type AppctlError, isAppctlError } from "../../core/errors.ts";
import { inParallel } from "../../core/in-parallel.ts";
import type { OciLayout } from "../layout.ts";
import { type Descriptor, jsonBytes, MediaType } from "../model.ts";
import { REFERRER_MARK, type ReferrerParts, referrersTag, referrerTo, withReferrer } from "../referrer.ts";
import { isDescriptor } from "../shapes.ts";
import { fromLayout } from "./blob-source.ts";

import { protocolError } from "./registry-error.ts";
import type { Repository } from "./repository.ts";
import { CHUNK_SIZE, uploadBlob } from "./upload-blob.ts";

/** An artifact in a registry; or what a registry said that takes none of its kind. */
export type PushedReferrer = { descriptor: Descriptor } | { refused: AppctlError };

/** Answers that mean no to the artifact. What passes, or breaks, is thrown as it is for an image. */
const REFUSALS = ["REGISTRY_ERROR", "REGISTRY_REFUSED", "NOT_IN_REGISTRY"];

/**
 * Pushes an artifact about `subject`, which need not be there yet. A registry without the referrers API gets it listed under
 * the tag of the referrers tag schema, next to what others have listed there. `find`: not if the registry has the very artifact.
 */
export async function pushReferrer(
  repository: Repository,
  layout: OciLayout,
  subject: Descriptor,
  parts: ReferrerParts,
  { find = false } = {},
): Promise<PushedReferrer> {
  const { bytes, descriptor } = referrerTo(subject, parts);
  if (find && (await repository.resolve(descriptor.digest))) return { descriptor };
  try {
    await inParallel([parts.config, parts.layer], async (blob) => {
      if (await repository.hasBlob(blob)) return;
      await uploadBlob(repository, fromLayout(layout, blob), { chunkSize: CHUNK_SIZE });
    });
    const noted = await repository.putManifest(descriptor.digest, bytes, descriptor.mediaType);
    if (noted !== subject.digest) await list(repository, subject, descriptor);
    return { descriptor };
  } catch (error) {
    if (isAppctlError(error) && REFUSALS.includes(error.code)) return { refused: error };
    throw error;
  }
}

async function list(repository: Repository, subject: Descriptor, added: Descriptor): Promise<void> {
  const tag = referrersTag(subject.digest);
  const found = await repository.manifest(tag).catch((error: unknown) => {
    if (isAppctlError(error) && error.code === "NOT_IN_REGISTRY") return undefined;
    throw error;
  });
  const current = found && indexIn(found.bytes);
  if (found && !current)
    throw protocolError("the tag names no list of referrers", repository.purpose("asked for", tag));
  const others = current?.manifests ?? [];
  if (others.some(({ digest }) => digest === added.digest)) return;
  const ours = ({ artifactType, annotations }: Descriptor) =>
    artifactType === added.artifactType && annotations?.[REFERRER_MARK] !== undefined;
  const index = { ...current, ...withReferrer(others, added, ours) };
  await repository.putManifest(tag, jsonBytes(index), MediaType.index);
}

function indexIn(bytes: Buffer): { manifests: Descriptor[] } | undefined {
  try {
    const value = JSON.parse(bytes.toString("utf8"));
    return Array.isArray(value?.manifests) && value.manifests.every(isDescriptor) ? value : undefined;
  } catch {
    return undefined; // its caller says that it is none
  }
}
