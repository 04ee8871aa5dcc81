/** What readers and writers of tar archives share: the header of an entry, of 512 bytes (POSIX.1-1988 ustar). */
import type { Buffer } from "node:buffer";

/** Bytes of a header; content is padded to a multiple of it. */
export const BLOCK = 512;

/** The text of a field, up to its first NUL. */
export function textField(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? length : end);
}

/** The sum of the bytes of a header, in which the checksum itself counts as spaces. */
export function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at] as number;
  return sum;
}

/** Bytes that follow `size` bytes of content up to the next header. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
