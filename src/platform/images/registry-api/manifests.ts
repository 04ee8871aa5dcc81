import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isAppctlError } from "../../../core/errors.ts";
import type { OciLayout, Reference } from "../../../oci/layout.ts";
import { type Descriptor, digestOf, isDigest, MAX_MANIFEST_BYTES, MediaType } from "../../../oci/model.ts";
import { isDescriptor } from "../../../oci/shapes.ts";
import type { AppStore } from "../../store/app-store.ts";
import { referenceOf } from "./references.ts";
import { addReferrer } from "./referrers.ts";
import { RegistryError } from "./registry-fault.ts";
import type { Source } from "./uploads.ts";

/** How often a manifest is stored again when deletes get in between. */
const STORE_ATTEMPTS = 5;

const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
const INDEXES: string[] = [MediaType.index, DOCKER_INDEX];
const MANIFESTS: string[] = [MediaType.manifest, DOCKER_MANIFEST];

/** What a manifest or an index says of itself. */
interface Document {
  mediaType: string;
  /** Everything that has to be in the store with it. */
  parts: Descriptor[];
  subject: Descriptor | undefined;
  artifactType: string | undefined;
  annotations: Record<string, string> | undefined;
}

/** A manifest or index by tag or digest; a HEAD request gets the fields alone. */
export async function getManifest(
  request: Request,
  layout: OciLayout,
  name: string,
  reference: string,
): Promise<Response> {
  const digest = isDigest(reference) ? reference : (await layout.resolve(referenceOf(name, reference)))?.digest;
  const stored = digest === undefined ? undefined : await readDocument(layout, digest);
  // A manifest with a lost part counts as missing, so the client sends it again.
  if (digest === undefined || stored === undefined) throw unknown(name, reference);
  if ((await layout.missing(stored.document.parts.map((part) => part.digest))).length > 0)
    throw unknown(name, reference);
  const headers = {
    "content-type": stored.document.mediaType,
    "content-length": String(stored.bytes.length),
    "docker-content-digest": digest,
    etag: `"${digest}"`,
  };
  return new Response(request.method === "HEAD" ? null : new Uint8Array(stored.bytes), { headers });
}

/** Takes a manifest or index. Everything that it names has to be here, so that a tag never names half an image. */
export async function putManifest(
  request: Request,
  body: Source,
  layout: OciLayout,
  name: string,
  reference: string,
): Promise<Response> {
  const tag = isDigest(reference) ? undefined : referenceOf(name, reference);
  const bytes = await readWhole(body);
  const digest = digestOf(bytes);
  if (tag === undefined && reference !== digest) {
    const message = `the manifest has the digest ${digest}, not ${reference}`;
    throw new RegistryError(400, { code: "DIGEST_INVALID", message });
  }
  const type = request.headers.get("content-type")?.split(";")[0]?.trim();
  const document = parseDocument(bytes, type);
  if (document === undefined) {
    const message = "the manifest is neither an OCI image manifest or index nor Docker's equivalent";
    throw new RegistryError(400, { code: "MANIFEST_INVALID", message });
  }
  if (type && type !== document.mediaType) {
    const message = `Content-Type is ${JSON.stringify(type)}, but mediaType is ${document.mediaType}`;
    throw new RegistryError(400, { code: "MANIFEST_INVALID", message });
  }
  const descriptor = { mediaType: document.mediaType, digest, size: bytes.length };
  await storeManifest(layout, bytes, { descriptor, parts: document.parts, tag });
  const { subject, artifactType, annotations } = document;
  if (subject) {
    const kept = { ...(artifactType === undefined ? {} : { artifactType }), ...(annotations ? { annotations } : {}) };
    await addReferrer(layout, name, subject.digest, { ...descriptor, ...kept });
  }
  return new Response(null, {
    status: 201,
    headers: {
      location: `/v2/${name}/manifests/${digest}`,
      "docker-content-digest": digest,
      ...(subject ? { "oci-subject": subject.digest } : {}),
    },
  });
}

/** Stores a manifest, all parts of which are here, and names it. What is deleted meanwhile is looked for again. */
async function storeManifest(
  layout: OciLayout,
  bytes: Buffer,
  { descriptor, parts, tag }: { descriptor: Descriptor; parts: Descriptor[]; tag: string | undefined },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await requireParts(layout, parts);
    await layout.writeBlob(bytes);
    try {
      if (tag !== undefined) await layout.tag(tag, descriptor, parts);
      return;
    } catch (error) {
      if (!isAppctlError(error) || error.code !== "BLOB_NOT_FOUND" || attempt === STORE_ATTEMPTS) throw error;
    }
  }
}

/** Takes a tag away; or a manifest with the tags of this repository, unless a revision or an index needs it. */
export async function deleteManifest(
  layout: OciLayout,
  store: AppStore,
  name: string,
  reference: string,
): Promise<Response> {
  const all = await layout.references();
  if (!isDigest(reference)) {
    const tag = referenceOf(name, reference);
    if (!all.some((each) => each.reference === tag)) throw unknown(name, reference);
    await layout.untag((named) => named.reference === tag);
    return new Response(null, { status: 202 });
  }
  if ((await readDocument(layout, reference)) === undefined) throw unknown(name, reference);
  // The check runs at the moment of the removal: a deploy or a push may have come since.
  await layout.remove(reference, (named) => {
    refuseNeeded(layout, store, named, reference);
    const names = named.filter(({ descriptor }) => descriptor.digest === reference).map((each) => each.reference);
    const siblings = names.filter((each) => each.slice(0, each.lastIndexOf(":")) === name);
    return { names: siblings, manifest: siblings.length === names.length };
  });
  return new Response(null, { status: 202 });
}

/** Throws DENIED for a manifest that a revision runs or an index names. Does not wait. */
function refuseNeeded(layout: OciLayout, store: AppStore, all: Reference[], digest: string): void {
  for (const app of store.all()) {
    const user = store.revisions(app.id).find((revision) => revision.digest === digest);
    if (!user) continue;
    const message = `revision ${user.name} of the app ${app.name} runs this image: delete the app first`;
    throw new RegistryError(409, { code: "DENIED", message });
  }
  for (const { reference: holder, descriptor } of all) {
    if (descriptor.digest === digest || !INDEXES.includes(descriptor.mediaType)) continue;
    if (!partsOf(layout, descriptor).some((part) => part.digest === digest)) continue;
    throw new RegistryError(409, { code: "DENIED", message: `the index ${holder} names it` });
  }
}

/** What a stored index names; nothing when it is not there, or damaged. Does not wait. */
function partsOf(layout: OciLayout, { digest, size }: Descriptor): Descriptor[] {
  if (size > MAX_MANIFEST_BYTES || !layout.isStored(digest)) return [];
  return parseDocument(readFileSync(layout.blobPath(digest)))?.parts ?? [];
}

/** A stored manifest or index; undefined when there is none, or the content is something else. */
async function readDocument(
  layout: OciLayout,
  digest: string,
): Promise<{ document: Document; bytes: Buffer } | undefined> {
  if (!(await layout.hasBlob(digest))) return undefined;
  const size = await stat(layout.blobPath(digest)).then(
    (found) => found.size,
    () => undefined,
  );
  // A layer is not read to find out that it is none.
  if (size === undefined || size > MAX_MANIFEST_BYTES) return undefined;
  const bytes = await layout.readBlob(digest).catch((error: unknown) => {
    // Gone meanwhile, or damaged and therefore set aside: it is missing now, and a client sends it again.
    if (isAppctlError(error)) return undefined;
    throw error;
  });
  const document = bytes && parseDocument(bytes);
  return bytes && document ? { bytes, document } : undefined;
}

/** `type` is what it came as: documents of OCI need not say it themselves. */
function parseDocument(bytes: Buffer, type?: string): Document | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { schemaVersion, config, layers, manifests, subject, mediaType, artifactType, annotations } = value as Record<
    string,
    unknown
  >;
  const isIndex = manifests !== undefined;
  const parts = isIndex ? manifests : [config, ...(Array.isArray(layers) ? layers : [undefined])];
  // A document that reads as both could be taken for either.
  if (schemaVersion !== 2 || (isIndex && (config !== undefined || layers !== undefined))) return undefined;
  if (!Array.isArray(parts) || !parts.every(hasDigest)) return undefined;
  if (subject !== undefined && !hasDigest(subject)) return undefined;
  const called = mediaType ?? type ?? (isIndex ? MediaType.index : MediaType.manifest);
  if (typeof called !== "string" || !(isIndex ? INDEXES : MANIFESTS).includes(called)) return undefined;
  return {
    mediaType: called,
    parts,
    subject,
    artifactType: typeof artifactType === "string" ? artifactType : isIndex ? undefined : parts[0]?.mediaType,
    annotations: isTexts(annotations) ? annotations : undefined,
  };
}

async function requireParts(layout: OciLayout, parts: Descriptor[]): Promise<void> {
  const found = await Promise.all(parts.map(({ digest, size }) => layout.hasBlob(digest, size)));
  const missing = parts.filter((_, index) => !found[index]);
  if (missing.length === 0) return;
  throw new RegistryError(
    400,
    missing.map(({ digest, size }) => ({
      code: "MANIFEST_BLOB_UNKNOWN",
      message: `the manifest names ${digest} with ${size} bytes, which the platform does not have`,
      detail: { digest },
    })),
  );
}

async function readWhole(body: Source): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_MANIFEST_BYTES) {
      const message = `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`;
      throw new RegistryError(413, { code: "MANIFEST_INVALID", message });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function hasDigest(value: unknown): value is Descriptor {
  return isDescriptor(value) && isDigest(value.digest);
}

function isTexts(value: unknown): value is Record<string, string> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === "string")
  );
}

function unknown(name: string, reference: string): RegistryError {
  const message = `${name}${isDigest(reference) ? "@" : ":"}${reference} is not here`;
  return new RegistryError(404, { code: "MANIFEST_UNKNOWN", message });
}
