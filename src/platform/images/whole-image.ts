import { isAppctlError } from "../../core/errors.ts";
import { readConfig, readManifest } from "../../oci/documents.ts";
import type { OciLayout } from "../../oci/layout.ts";
import { ProblemError } from "../problem.ts";

/** An image of the store that was found whole. */
export interface WholeImage {
  /** Environment that its config declares. */
  env: Record<string, string>;
  /** Throws IMAGE_INCOMPLETE when a part has gone since. Does not wait, so that nothing can go before what comes next. */
  requireWhole(): void;
}

/** Finds images of which every part is here. What it gives throws a problem for one that is not. */
export function wholeImage(images: OciLayout): (digest: string) => Promise<WholeImage> {
  return async (digest) => {
    if (!(await images.hasBlob(digest))) throw incomplete(digest, [digest]);
    const { config, layers } = await readManifest(images, digest).catch(goneMeanwhile(digest, digest));
    const parts = [config, ...layers].map((part) => part.digest);
    const missing = await images.missing(parts);
    if (missing.length > 0) throw incomplete(digest, missing);
    const { Env } = (await readConfig(images, config.digest).catch(goneMeanwhile(digest, config.digest))).config;
    const pairs = Env.map((entry): [string, string] => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
    const requireWhole = () => {
      const gone = [digest, ...parts].filter((part) => !images.isStored(part));
      if (gone.length > 0) throw incomplete(digest, gone);
    };
    return { env: Object.fromEntries(pairs), requireWhole };
  };
}

function goneMeanwhile(digest: string, part: string): (error: unknown) => never {
  return (error) => {
    throw isAppctlError(error) && error.code === "BLOB_NOT_FOUND" ? incomplete(digest, [part]) : error;
  };
}

function incomplete(digest: string, missing: string[]): ProblemError {
  const message = `image ${digest} is incomplete on the platform; missing: ${missing.join(", ")}`;
  return new ProblemError("IMAGE_INCOMPLETE", message, { hint: "deploy again to upload the missing content" });
}
