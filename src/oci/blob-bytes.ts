import type { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import type { OciLayout } from "./layout.ts";
import type { Descriptor } from "./model.ts";

/**
 * The bytes of a layout's blob from `start` up to, and without, `end`, as they come; the caller checks the digest.
 * Throws BLOB_NOT_FOUND, BLOB_DAMAGED when the file ends before, or BLOB_UNREADABLE: a caller that sends them elsewhere can tell
 * such a failure from one of the connection.
 */
export async function* blobBytes(
  layout: OciLayout,
  { digest }: Pick<Descriptor, "digest">,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  const file = layout.blobPath(digest);
  let left = end - start;
  try {
    // `end` of a stream is the last byte that is read.
    for await (const chunk of createReadStream(file, { start, end: end - 1 }) as AsyncIterable<Buffer>) {
      left -= chunk.length;
      yield chunk;
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") await layout.readBlob(digest); // which says so
    throw new AppctlError({
      code: "BLOB_UNREADABLE",
      exit: ExitCode.failed,
      message: `the image content ${digest} cannot be read from ${file}: ${messageOf(cause)}`,
      hint: "check the owner of the file and its disk; after you remove the file, a deploy makes it again",
      cause,
    });
  }
  if (left > 0) throw await layout.setAside(digest);
}
