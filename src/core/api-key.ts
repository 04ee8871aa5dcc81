/**
 * The text form of an API key: `appctl_` and base64url of
 * `version (1 byte) | 256 random bits (32 bytes) | endpoint URL (UTF-8) | CRC-32 of all before it (4 bytes, big-endian)`.
 * The prefix lets secret scanners recognise it, the checksum tells a mistyped key from a revoked one without asking the
 * platform, and the endpoint inside makes one variable enough for CI.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";

const PREFIX = "appctl_";
const VERSION = 1;
const SECRET_BYTES = 32;

/** What an API key carries. `endpoint` is an http(s) origin without a trailing slash; `secret` has 32 bytes. */
export interface ApiKeyParts {
  endpoint: string;
  secret: Uint8Array;
}

/** Writes an API key. */
export function formatApiKey(parts: ApiKeyParts): string {
  const body = Buffer.concat([Buffer.from([VERSION]), parts.secret, Buffer.from(parts.endpoint, "utf8")]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return PREFIX + Buffer.concat([body, checksum]).toString("base64url");
}

/** Reads an API key, or returns undefined when `text` is not a whole one. White space around it is ignored. */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX) || !/^[A-Za-z0-9_-]+$/.test(trimmed)) return undefined;
  const bytes = Buffer.from(trimmed.slice(PREFIX.length), "base64url");
  if (bytes.length < 1 + SECRET_BYTES + 8 || bytes[0] !== VERSION) return undefined;
  const body = bytes.subarray(0, -4);
  if (crc32(body) !== bytes.readUInt32BE(bytes.length - 4)) return undefined;
  const endpoint = body.subarray(1 + SECRET_BYTES).toString("utf8");
  if (!/^https?:\/\/[^/\s]+$/.test(endpoint)) return undefined;
  return { endpoint, secret: new Uint8Array(body.subarray(1, 1 + SECRET_BYTES)) };
}

/** The first characters of a key: enough to recognise it in a list. They hold only the version and 3 bytes of it. */
export function apiKeyHint(key: string): string {
  return `${key.slice(0, PREFIX.length + 5)}…`;
}
