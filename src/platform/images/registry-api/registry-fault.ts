/** Codes of the OCI distribution protocol, and the usual registry's own for what the specification leaves open. */
export type RegistryCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "UNAUTHORIZED"
  | "UNAVAILABLE"
  | "UNKNOWN"
  | "UNSUPPORTED";

/** One error of an answer. */
export interface RegistryFault {
  code: RegistryCode;
  message: string;
  detail?: unknown;
}

/** An error that the registry answers in the OCI distribution protocol's own JSON. */
export class RegistryError extends Error {
  readonly status: number;
  readonly faults: RegistryFault[];
  readonly headers: Record<string, string>;

  constructor(status: number, faults: RegistryFault | RegistryFault[], headers: Record<string, string> = {}) {
    const all = Array.isArray(faults) ? faults : [faults];
    super(all.map(({ message }) => message).join("; "));
    this.name = "RegistryError";
    this.status = status;
    this.faults = all;
    this.headers = headers;
  }

  /** The HTTP answer. */
  toResponse(): Response {
    return Response.json(
      { errors: this.faults },
      { status: this.status, headers: { "cache-control": "no-store", ...this.headers } },
    );
  }
}
