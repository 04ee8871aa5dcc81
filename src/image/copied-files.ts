import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { usageError } from "../core/errors.ts";
import type { TarEntry } from "../oci/archive/tar.ts";

/** A file that an ImageSpec copies, and what is in it. `path` is relative to the app's folder, with `/`. */
export interface CopiedFile {
  path: string;
  executable: boolean;
  /** Where it lies on this machine, absolute. */
  file: string;
  /** Bytes. */
  size: number;
  /** `sha256:` and the hex digest of its content. */
  digest: string;
}

/** Reads each file to say what is in it, in order of the paths. */
export async function readCopied(
  files: readonly { path: string; absolute: string; mode: number }[],
): Promise<CopiedFile[]> {
  const read: CopiedFile[] = [];
  for (const { path, absolute, mode } of files) {
    checkAppPath(path);
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of createReadStream(absolute, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
    read.push({ path, executable: mode === 0o755, file: absolute, size, digest: `sha256:${hash.digest("hex")}` });
  }
  return read.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What of copied files decides the bytes of their layer: not where they lie. */
export function copiedIdentity(files: readonly CopiedFile[]): unknown[] {
  return files.map(({ path, executable, digest }) => ({ path, executable, digest }));
}

/** Entries of their layer, below `app`. Writing it fails for a file that is no longer what {@link readCopied} read. */
export function copiedEntries(files: readonly CopiedFile[]): TarEntry[] {
  const entries = files.map(({ path, executable, file, size, digest }): TarEntry => {
    return { type: "file", path: `app/${path}`, executable, content: { file, size, digest } };
  });
  return [{ type: "directory", path: "app" }, ...entries];
}

/** The packages stand at `app/node_modules`, in a layer of their own, so the app's files cannot. Throws RESERVED_PATH. */
export function checkAppPath(path: string): void {
  if (path !== "node_modules" && !path.startsWith("node_modules/")) return;
  throw usageError(`the app cannot have a file at ${path}: node_modules is for the image's packages`, {
    code: "RESERVED_PATH",
    hint: "list the package in ImageSpec.packages, or import it, so that it is bundled",
  });
}
