import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";

/** As much of a body as is read where a token or the reason of a refusal is expected, in bytes. */
const MAX_TEXT_BYTES = 64 * 1024;

/** A body as text, its first {@link MAX_TEXT_BYTES} when it is longer: the rest is not fetched. Throws when it breaks off. */
export async function bodyText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MAX_TEXT_BYTES) break; // which closes the connection, too
  }
  return Buffer.concat(chunks).subarray(0, MAX_TEXT_BYTES).toString("utf8");
}
