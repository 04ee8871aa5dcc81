import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { gzip } from "../oci/archive/gzip.ts";
import { type TarEntry, tar } from "../oci/archive/tar.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, MediaType } from "../oci/model.ts";
import { LayerMemo } from "./layer-memo.ts";

/** Annotation of a layer descriptor that says what the layer is for: `packages`, `copy` or `app`. Base layers have none. */
export const LAYER_ROLE = "appctl.layer";

/** A layer that lies in a layout. `diffId` is the digest of the uncompressed archive. */
export interface Layer {
  descriptor: Descriptor;
  diffId: string;
}

/** How a layer is made. `role` is written on its descriptor; `level` is {@link gzip}'s, 1 to 9. */
export interface LayerOptions {
  role: "packages" | "copy" | "app";
  level: number;
  signal?: AbortSignal | undefined;
}

/** Archives and compresses `entries` and stores the result. The same entries give the same bytes on every machine. */
export async function writeLayer(
  layout: OciLayout,
  entries: Iterable<TarEntry>,
  options: LayerOptions,
): Promise<Layer> {
  const layer = await compressLayer(layout, tar(entries), options);
  return { ...layer, descriptor: { ...layer.descriptor, annotations: { [LAYER_ROLE]: options.role } } };
}

/** Compresses an archive and stores the result: a layer without a role. */
export async function compressLayer(
  layout: OciLayout,
  archive: AsyncIterable<Uint8Array>,
  { level, signal }: Pick<LayerOptions, "level" | "signal">,
): Promise<Layer> {
  const { chunks, diffId } = hashed(archive, signal);
  const blob = await layout.writeBlobStream(gzip(chunks, level));
  return { descriptor: { mediaType: MediaType.layer, ...blob }, diffId: diffId() };
}

/** An archive on its way, and its digest once all of it has passed. */
function hashed<Chunk extends Uint8Array>(archive: AsyncIterable<Chunk>, signal: AbortSignal | undefined) {
  const hash = createHash("sha256");
  async function* chunks() {
    for await (const chunk of archive) {
      signal?.throwIfAborted();
      hash.update(chunk);
      yield chunk;
    }
  }
  return { chunks: chunks(), diffId: () => `sha256:${hash.digest("hex")}` };
}

/**
 * The same for entries that are in memory: when the layout has what they came to before, nothing is compressed. The bytes
 * are those of {@link writeLayer}.
 */
export async function writeKnownLayer(
  layout: OciLayout,
  entries: Iterable<TarEntry>,
  options: LayerOptions,
): Promise<Layer> {
  const { level, role, signal } = options;
  const { chunks, diffId: digest } = hashed(tar(entries), signal);
  const archive: Buffer[] = [];
  for await (const chunk of chunks) archive.push(chunk);
  const diffId = digest();
  const memo = new LayerMemo(layout);
  let blob = await memo.find(diffId, level);
  if (blob === undefined) {
    blob = await layout.writeBlobStream(gzip(archive, level));
    memo.note(diffId, level, blob);
  }
  return { descriptor: { mediaType: MediaType.layer, ...blob, annotations: { [LAYER_ROLE]: role } }, diffId };
}

/**
 * Everything below the directory `dir` as entries below `prefix`, except paths (relative to `dir`) that `skip` names.
 * Throws on what a layer cannot hold (sockets, devices).
 */
export async function treeEntries(dir: string, prefix: string, skip: (path: string) => boolean): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  const walk = async (relative: string): Promise<void> => {
    for (const item of await readdir(join(dir, relative), { withFileTypes: true })) {
      const inner = relative === "" ? item.name : `${relative}/${item.name}`;
      if (skip(inner)) continue;
      const path = `${prefix}/${inner}`;
      const file = join(dir, inner);
      if (item.isDirectory()) {
        entries.push({ type: "directory", path });
        await walk(inner);
      } else if (item.isSymbolicLink()) {
        entries.push({ type: "symlink", path, target: await readlink(file) });
      } else if (item.isFile()) {
        const { size, mode } = await lstat(file);
        entries.push({ type: "file", path, executable: (mode & 0o100) !== 0, content: { file, size } });
      } else throw new Error(`${file} is neither a file nor a directory nor a symbolic link`);
    }
  };
  await walk("");
  return entries;
}
