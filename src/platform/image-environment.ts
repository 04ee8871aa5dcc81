import { readConfig, readManifest } from "../image/documents.ts";
import type { OciLayout } from "../image/layout.ts";
import { ProblemError } from "./problem.ts";

/** Reads the environment that an image's config declares. Throws a problem when any part of the image is not here. */
export function imageEnvironment(images: OciLayout): (digest: string) => Promise<Record<string, string>> {
  return async (digest) => {
    if (!(await images.hasBlob(digest))) throw incomplete(digest, [digest]);
    const { config, layers } = await readManifest(images, digest);
    const missing = await images.missing([config, ...layers].map((part) => part.digest));
    if (missing.length > 0) throw incomplete(digest, missing);
    const pairs = (await readConfig(images, config.digest)).config.Env.map((entry): [string, string] => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
    return Object.fromEntries(pairs);
  };
}

function incomplete(digest: string, missing: string[]): ProblemError {
  return new ProblemError(422, "IMAGE_INCOMPLETE", `image ${digest} is not whole here; missing: ${missing.join(", ")}`);
}
