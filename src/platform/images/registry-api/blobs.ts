import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { LIMITS } from "../../../contract/limits.ts";
import type { OciLayout } from "../../../oci/layout.ts";
import { isDigest } from "../../../oci/model.ts";
import { RegistryError } from "./registry-fault.ts";
import { type Source, type Uploads, uploadHeaders } from "./uploads.ts";

/** A blob, or the range of it that is asked for; a HEAD request gets the fields alone. */
export async function getBlob(request: Request, layout: OciLayout, digest: string): Promise<Response> {
  const found = (await layout.hasBlob(digest)) ? await stat(layout.blobPath(digest)).catch(() => undefined) : undefined;
  if (!found) {
    throw new RegistryError(404, { code: "BLOB_UNKNOWN", message: `the content ${digest} is not here` });
  }
  const { size } = found;
  const range = request.method === "GET" ? rangeOf(request.headers.get("range"), size) : undefined;
  const { start, end } = range ?? { start: 0, end: size };
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": String(end - start),
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
    etag: `"${digest}"`,
    ...(range ? { "content-range": `bytes ${start}-${end - 1}/${size}` } : {}),
  };
  if (request.method === "HEAD" || end === start) return new Response(null, { headers });
  const file = createReadStream(layout.blobPath(digest), { start, end: end - 1 });
  const body = Readable.toWeb(file) as ReadableStream<Uint8Array>;
  return new Response(body, { status: range ? 206 : 200, headers });
}

/** The one range of a Range field, `end` not included; undefined for the whole, which other fields mean too (RFC 9110). */
function rangeOf(field: string | null, size: number): { start: number; end: number } | undefined {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(field ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined;
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  if (start < end) return { start, end };
  const message = `the content has ${size} bytes, none of them in the requested range`;
  throw new RegistryError(416, { code: "SIZE_INVALID", message }, { "content-range": `bytes */${size}` });
}

/** Begins an upload; or takes the whole blob at once, or one that is here already (`mount`): each blob is kept once. */
export async function startUpload(
  query: URLSearchParams,
  body: Source,
  { layout, uploads, name }: { layout: OciLayout; uploads: Uploads; name: string },
): Promise<Response> {
  const mount = query.get("mount");
  if (mount !== null && (await layout.hasBlob(requireDigest(mount)))) return created(name, mount);
  const digest = query.get("digest");
  if (digest !== null) {
    await layout.writeBlobStream(body, requireDigest(digest), LIMITS.blobBytes.value);
    return created(name, digest);
  }
  const id = await uploads.start(name);
  return new Response(null, { status: 202, headers: uploadHeaders(name, id, 0) });
}

/** What is asked of one upload: PATCH, PUT, GET or DELETE. */
export async function continueUpload(
  request: Request,
  query: URLSearchParams,
  body: Source,
  { uploads, name, id }: { uploads: Uploads; name: string; id: string },
): Promise<Response> {
  if (request.method === "PATCH") {
    const size = await uploads.append(name, id, body, startOf(request));
    return new Response(null, { status: 202, headers: uploadHeaders(name, id, size) });
  }
  if (request.method === "PUT") {
    const digest = requireDigest(query.get("digest") ?? "");
    await uploads.finish(name, id, digest, body, startOf(request));
    return created(name, digest);
  }
  if (request.method === "DELETE") {
    await uploads.cancel(name, id);
    return new Response(null, { status: 204 });
  }
  return new Response(null, { status: 204, headers: uploadHeaders(name, id, uploads.size(name, id)) });
}

/** Where a chunk begins, by its Content-Range: `<start>-<end>`, in this protocol without a unit. */
function startOf(request: Request): number | undefined {
  const field = request.headers.get("content-range");
  if (field === null) return undefined;
  const [, start, end] = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(field) ?? [];
  // A chunk of no bytes has no last one: clients write what comes out.
  if (start !== undefined && Number(end) >= Number(start) - 1) return Number(start);
  const message = "Content-Range must be <first byte>-<last byte>";
  throw new RegistryError(400, { code: "BLOB_UPLOAD_INVALID", message });
}

function created(name: string, digest: string): Response {
  const headers = { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest };
  return new Response(null, { status: 201, headers });
}

/** The digest, if it is one of the kind that the store has. */
export function requireDigest(text: string): string {
  if (isDigest(text)) return text;
  const message = "a digest must be sha256: and 64 lower-case hex digits";
  throw new RegistryError(400, { code: "DIGEST_INVALID", message });
}
