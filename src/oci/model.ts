/** The shapes of the OCI image format (image-spec 1.1) as far as appctl writes and reads them, and what names them. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { AppctlError, ExitCode } from "../core/errors.ts";
import type { OciTarget } from "./target.ts";

/** Media types of what an image is made of. */
export const MediaType = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

/** Annotation of a descriptor in `index.json` that carries the reference: `<name>:<tag>` (image-spec, annotations.md). */
export const REF_NAME = "org.opencontainers.image.ref.name";

/** Names a blob. `digest` is `sha256:` and 64 hex digits, `size` counts bytes. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  /** Of an artifact's manifest, in a list of referrers. */
  artifactType?: string;
  /** Of an image, in an index of several. */
  platform?: OciTarget;
  annotations?: Record<string, string>;
}

/** An image manifest, or an artifact's: that has a type, and may name the image that it is about. */
export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
  artifactType?: string;
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** An image index: one image for each of several platforms. */
export interface ImageIndex {
  schemaVersion: 2;
  mediaType: typeof MediaType.index;
  manifests: Descriptor[];
}

/** An image configuration: what a container engine runs. `Env` holds `NAME=value`; `ExposedPorts` keys are `8080/tcp`. */
export interface ImageConfig {
  created: string;
  architecture: string;
  os: string;
  variant?: string;
  config: {
    ExposedPorts?: Record<string, Record<string, never>>;
    Env: string[];
    Entrypoint?: string[];
    Cmd?: string[];
    WorkingDir: string;
    Labels?: Record<string, string>;
    Volumes?: Record<string, Record<string, never>>;
  };
  /** Digests of the uncompressed layers, lowest first. */
  rootfs: { type: "layers"; diff_ids: string[] };
  history: { created: string; created_by: string }[];
}

/** The time of everything in an image, so that the same input gives the same bytes. */
export const EPOCH = "1970-01-01T00:00:00Z";

/** `sha256:` and the hex digest of `bytes`. */
export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** JSON with the keys of every object in code point order: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) =>
    typeof entry === "object" && entry !== null && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}

/** The bytes of a JSON blob (config, manifest). Two of the same value are equal. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(canonicalJson(value), "utf8");
}

/** Largest manifest that a registry takes or gives, in bytes: the advice of the distribution specification. */
export const MAX_MANIFEST_BYTES = 4 * 1024 ** 2;

const HEX = /^[0-9a-f]{64}$/;

/** True for the name of a file that is named by a SHA-256: 64 lower-case hex digits. */
export function isDigestHex(name: string): boolean {
  return HEX.test(name);
}

/** True for a digest: `sha256:` and 64 lower-case hex digits. */
export function isDigest(value: unknown): value is string {
  return typeof value === "string" && value.startsWith("sha256:") && HEX.test(value.slice("sha256:".length));
}

/** The hex digits of a digest. Throws INVALID_DIGEST for anything but `sha256:` and 64 lower-case hex digits. */
export function hexOf(digest: string): string {
  if (!isDigest(digest)) {
    throw new AppctlError({
      code: "INVALID_DIGEST",
      exit: ExitCode.usage,
      message: `"${digest}" is not a digest: it must be sha256: and 64 lower-case hex digits`,
    });
  }
  return digest.slice("sha256:".length);
}

// image-spec annotations.md: ref = component *("/" component); component = alphanum *(separator alphanum);
// separator = /[-._:@+]/ / "--". skopeo and umoci refuse everything else.
const COMPONENT = "[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*";
const REFERENCE = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*:[A-Za-z0-9]+(?:(?:[-._]|--)[A-Za-z0-9]+)*$`);

/** Splits `<name>:<tag>`. Throws INVALID_REFERENCE for what the OCI grammar for reference names does not allow. */
export function parseReference(reference: string): { name: string; tag: string } {
  if (reference.length > 512 || !REFERENCE.test(reference)) {
    throw new AppctlError({
      code: "INVALID_REFERENCE",
      exit: ExitCode.usage,
      message: `"${reference}" is not an image reference`,
      hint: "it must be <name>:<tag>, both of letters and digits joined by one '-', '.', '_' (or, in the name, '/')",
    });
  }
  const colon = reference.lastIndexOf(":");
  return { name: reference.slice(0, colon), tag: reference.slice(colon + 1) };
}
