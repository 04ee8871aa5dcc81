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
 * the tag of the referrers tag schema, beside what others have listed there.
 */
export async function pushReferrer(
  repository: Repository,
  layout: OciLayout,
  subject: Descriptor,
  parts: ReferrerParts,
): Promise<PushedReferrer> {
  const { bytes, descriptor } = referrerTo(subject, parts);
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

/** {@link pushReferrer}, unless the registry has the very artifact. */
export async function findOrPushReferrer(
  repository: Repository,
  layout: OciLayout,
  subject: Descriptor,
  parts: ReferrerParts,
): Promise<PushedReferrer> {
  const { descriptor } = referrerTo(subject, parts);
  if (await repository.resolve(descriptor.digest)) return { descriptor };
  return pushReferrer(repository, layout, subject, parts);
}

async function list(repository: Repository, subject: Descriptor, added: Descriptor): Promise<void> {
  const tag = referrersTag(subject.digest);
  const found = await repository.manifest(tag).catch((error: unknown) => {
    if (isAppctlError(error) && error.code === "NOT_IN_REGISTRY") return undefined;
    throw error;
  });
  const there = found && indexIn(found.bytes);
  if (found && !there) {
    throw protocolError("it is no list of referrers, and is left as it is", repository.purpose("asked for", tag));
  }
  const others = there?.manifests ?? [];
  if (others.some(({ digest }) => digest === added.digest)) return;
  const ours = ({ artifactType, annotations }: Descriptor) =>
    artifactType === added.artifactType && annotations?.[REFERRER_MARK] !== undefined;
  const index = { ...there, ...withReferrer(others, added, ours) };
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
