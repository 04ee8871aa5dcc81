import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { ExitCode, isAppctlError, messageOf } from "../../../core/errors.ts";
import { parseReference } from "../../../oci/model.ts";
import { isRepositoryName } from "../../../oci/registry/image-name.ts";
import type { Services } from "../../api/context.ts";
import type { KeyStore, Principal } from "../../keys/key-store.ts";
import { continueUpload, getBlob, requireDigest, startUpload } from "./blobs.ts";
import { deleteManifest, getManifest, putManifest } from "./manifests.ts";
import { listRepositories, listTags } from "./references.ts";
import { listReferrers } from "./referrers.ts";
import { RegistryError } from "./registry-fault.ts";
import { type Source, Uploads } from "./uploads.ts";

const VERSION = { "docker-distribution-api-version": "registry/2.0" };

/** The platform's images by the OCI distribution protocol, `/v2/`. */
export type Registry = (request: Request, bindings: { incoming?: IncomingMessage }) => Promise<Response>;

/**
 * Makes the registry, on the platform's own store of images. Each request needs an API key: as the password of any user
 * (Basic, which `docker login` and `skopeo --creds` send) or alone (Bearer). Host names are checked by the server before.
 */
export function createRegistry(
  services: Pick<Services, "images" | "keys" | "store" | "addresses">,
  now: () => Date,
  report: (message: string) => void,
): Registry {
  const uploads = new Uploads(services.images, now);
  uploads.prepare();
  return async (request, { incoming }) => {
    const answer = await handle(request, incoming, services, uploads).catch((error: unknown) =>
      errorFor(error, incoming, report).toResponse(),
    );
    for (const [field, value] of Object.entries(VERSION)) answer.headers.set(field, value);
    return answer;
  };
}

async function handle(
  request: Request,
  incoming: IncomingMessage | undefined,
  { images: layout, keys, store, addresses }: Pick<Services, "images" | "keys" | "store" | "addresses">,
  uploads: Uploads,
): Promise<Response> {
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== addresses.url) {
    throw new RegistryError(403, { code: "DENIED", message: `requests from pages of ${origin} are refused` });
  }
  if (!principalOf(request.headers.get("authorization") ?? undefined, keys)) {
    const message =
      "an API key is required as the password (any user name); this one may be mistyped, revoked, or of another platform";
    const challenge = { "www-authenticate": 'Basic realm="appctl"' };
    throw new RegistryError(401, { code: "UNAUTHORIZED", message }, challenge);
  }
  const { pathname, searchParams: query } = new URL(request.url);
  const body: Source = incoming ?? (request.body as Source | null) ?? nothing();
  if (/^\/v2\/?$/.test(pathname)) return only(request, READ, () => Response.json({}));
  if (pathname === "/v2/_catalog") return only(request, READ, () => listRepositories(layout, query));

  // The name may have slashes, and parts that read as the protocol's own words: what counts is how the path ends.
  const [, name = "", rest = ""] =
    /^\/v2\/(.+?)\/(tags\/list|referrers\/[^/]+|manifests\/[^/]+|blobs\/uploads(?:\/[^/]*)?|blobs\/[^/]+)$/.exec(
      pathname,
    ) ?? [];
  if (rest === "") {
    const message = `${request.method} ${pathname} is not part of the OCI distribution protocol`;
    throw new RegistryError(404, { code: "UNSUPPORTED", message });
  }
  requireName(name);
  const last = rest.slice(rest.lastIndexOf("/") + 1);
  if (rest === "tags/list") return only(request, READ, () => listTags(layout, name, query));
  if (rest.startsWith("referrers/")) {
    return only(request, READ, () => listReferrers(layout, name, requireDigest(last), query));
  }
  if (rest === "blobs/uploads" || rest === "blobs/uploads/") {
    return only(request, ["POST"], () => startUpload(query, body, { layout, uploads, name }));
  }
  if (rest.startsWith("blobs/uploads/")) {
    const upload = { uploads, name, id: last };
    return only(request, [...READ, "PATCH", "PUT", "DELETE"], () => continueUpload(request, query, body, upload));
  }
  if (rest.startsWith("blobs/")) return only(request, READ, () => getBlob(request, layout, requireDigest(last)));
  const reference = last.includes(":") ? requireDigest(last) : last;
  if (request.method === "PUT") return putManifest(request, body, layout, name, reference);
  if (request.method === "DELETE") return deleteManifest(layout, store, name, reference);
  return only(request, [...READ, "PUT", "DELETE"], () => getManifest(request, layout, name, reference));
}

const READ = ["GET", "HEAD"];

async function only(
  request: Request,
  methods: string[],
  answer: () => Response | Promise<Response>,
): Promise<Response> {
  if (methods.includes(request.method)) return answer();
  const message = `${request.method} is not supported here; ${methods.join(", ")} ${methods.length > 1 ? "are" : "is"}`;
  throw new RegistryError(405, { code: "UNSUPPORTED", message }, { allow: methods.join(", ") });
}

/** Whose key a request carries, as a password or alone. */
function principalOf(authorization: string | undefined, keys: KeyStore): Principal | undefined {
  const basic = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? "")?.[1];
  if (basic === undefined) return keys.verify(authorization);
  const pair = Buffer.from(basic, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : keys.verifyKey(pair.slice(colon + 1));
}

function requireName(name: string): void {
  try {
    if (isRepositoryName(name)) {
      parseReference(`${name}:x`); // the layout's own grammar is narrower
      return;
    }
  } catch (error) {
    if (!isAppctlError(error)) throw error;
  }
  const message = "a repository must be lower-case letters and digits, joined by one '-', '.', '_' or '/'";
  throw new RegistryError(400, { code: "NAME_INVALID", message });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function errorFor(
  error: unknown,
  incoming: IncomingMessage | undefined,
  report: (message: string) => void,
): RegistryError {
  if (error instanceof RegistryError) return error;
  if (isAppctlError(error)) {
    const message = error.hint ? `${error.message}; ${error.hint}` : error.message;
    if (error.code === "DIGEST_MISMATCH") return new RegistryError(400, { code: "DIGEST_INVALID", message });
    if (error.code === "BLOB_TOO_LARGE") return new RegistryError(413, { code: "SIZE_INVALID", message });
    report(messageOf(error));
    const detail = { code: error.code, message: error.message, hint: error.hint };
    if (error.code === "DISK_FULL") return new RegistryError(507, { code: "UNAVAILABLE", message, detail });
    if (error.exit === ExitCode.unavailable) return new RegistryError(503, { code: "UNAVAILABLE", message, detail });
    return new RegistryError(500, { code: "UNKNOWN", message });
  }
  if (incoming?.destroyed && !incoming.complete) {
    // Nobody is there to read it.
    return new RegistryError(400, { code: "BLOB_UPLOAD_INVALID", message: "the request broke off" });
  }
  report(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return new RegistryError(500, { code: "UNKNOWN", message: "the platform failed to answer; its log has the reason" });
}
