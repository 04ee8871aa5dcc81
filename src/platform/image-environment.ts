import type { OciLayout } from "../image/layout.ts";
import { ProblemError } from "./problem.ts";

interface Manifest {
  config?: { digest?: string };
  layers?: { digest?: string }[];
}

/** Reads the environment that an image's config declares. Throws a problem when any part of the image is not here. */
export function imageEnvironment(images: OciLayout): (digest: string) => Promise<Record<string, string>> {
  return async (digest) => {
    if (!(await images.hasBlob(digest))) throw incomplete(digest, [digest]);
    const manifest = await images.readJson<Manifest>(digest);
    const parts = [manifest.config, ...(manifest.layers ?? [])].map((part) => part?.digest ?? "");
    if (!manifest.config?.digest || parts.includes("")) {
      throw new ProblemError(422, "NOT_A_MANIFEST", `${digest} is not an image manifest`);
    }
    const missing = await images.missing(parts);
    if (missing.length > 0) throw incomplete(digest, missing);
    const config = await images.readJson<{ config?: { Env?: string[] } }>(manifest.config.digest);
    const pairs = (config.config?.Env ?? []).map((entry): [string, string] => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
    return Object.fromEntries(pairs);
  };
}

function incomplete(digest: string, missing: string[]): ProblemError {
  return new ProblemError(422, "IMAGE_INCOMPLETE", `image ${digest} is not whole here; missing: ${missing.join(", ")}`);
}
