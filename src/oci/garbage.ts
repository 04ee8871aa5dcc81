/** What a layout has and nothing needs any more: found by following what is needed, and taken away by age. */
import { statSync, unlinkSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isAppctlError } from "../core/errors.ts";
import type { OciLayout, Reference } from "./layout.ts";
import { type Descriptor, isDigestHex } from "./model.ts";
import { isDescriptor } from "./shapes.ts";

/** What is needed, and from when on something counts as unused. */
export interface GarbageOptions {
  /** Digests of manifests that stay with all that they name, whatever their age. */
  needed: Iterable<string>;
  /** True for names that stay, with what they name. */
  keepName(reference: string): boolean;
  /** Milliseconds since 1970: what was asked for, read or written since then stays as it is. */
  before: number;
  /** Only say what would go. */
  dryRun?: boolean | undefined;
  /** Ends it between two steps. */
  signal?: AbortSignal | undefined;
}

/** What went, or would go. */
export interface GarbageResult {
  /** Names of images. */
  images: string[];
  blobs: number;
  bytes: number;
  /** Digests of all that stays because something needs it. */
  kept: ReadonlySet<string>;
  /** A needed manifest that is missing or damaged: nobody knows what it needs, so nothing was taken away. */
  unreadable: string | undefined;
}

/** How many blobs are looked at and removed before others get their turn: that takes a millisecond or two. */
const AT_ONCE = 100;

/** Documents are at most that large, in bytes: a larger blob is a layer, and is not read to find out. */
const MAX_DOCUMENT = 4 * 1024 ** 2;

/**
 * Takes away names and blobs that nothing needs and that nobody has asked for since `before`. Each is looked at and removed
 * without a pause in between, under the layout's lock: a caller that asks for one ({@link OciLayout.hasBlob} of a store that notes it)
 * either makes it young, or learns that it is missing. A crash at any point leaves names whole: a name goes before its blobs.
 */
export async function collectGarbage(layout: OciLayout, options: GarbageOptions): Promise<GarbageResult> {
  const { before, dryRun, keepName } = options;
  const ageless = (digest: string) => (lastUse(layout.blobPath(digest))?.at ?? 0) >= before;
  const references = await layout.references();
  const kept = new Set<string>();
  let unreadable: string | undefined;
  for (const digest of options.needed) {
    if (!(await follow(layout, digest, kept))) unreadable ??= digest;
  }
  if (unreadable !== undefined) return { images: [], blobs: 0, bytes: 0, kept, unreadable };
  for (const { reference, descriptor } of references) {
    if (keepName(reference) || ageless(descriptor.digest)) await follow(layout, descriptor.digest, kept);
  }
  // Documents about an image stay as long as that does.
  const about = (reference: string) => {
    const hex = /:sha256-([0-9a-f]{64})$/.exec(reference)?.[1];
    return hex !== undefined && kept.has(`sha256:${hex}`);
  };
  for (const { reference, descriptor } of references)
    if (about(reference)) await follow(layout, descriptor.digest, kept);

  const goes = ({ reference, descriptor: { digest } }: Reference) =>
    !keepName(reference) && !about(reference) && !kept.has(digest) && !ageless(digest);
  const images = references.filter(goes).map(({ reference }) => reference);
  if (!dryRun && images.length > 0) await layout.untag(goes);

  let blobs = 0;
  let bytes = 0;
  const unused = (name: string) => {
    const found = lastUse(layout.blobPath(`sha256:${name}`));
    return found && found.at < before ? found : undefined;
  };
  const stored = await readdir(join(layout.dir, "blobs", "sha256")).catch(() => []); // nothing was ever stored
  const names = stored.filter((name) => isDigestHex(name) && !kept.has(`sha256:${name}`));
  const remove = (some: string[]) => {
    for (const name of some) {
      const found = unused(name);
      if (!found) continue; // somebody has asked for it meanwhile, or it is gone
      if (!dryRun) unlinkSync(layout.blobPath(`sha256:${name}`));
      blobs++;
      bytes += found.size;
    }
  };
  for (let at = 0; at < names.length; at += AT_ONCE) {
    options.signal?.throwIfAborted();
    const some = names.slice(at, at + AT_ONCE).filter(unused);
    if (dryRun) remove(some);
    else if (some.length > 0) await layout.locked(() => remove(some));
    await setImmediate();
  }
  return { images, blobs, bytes, kept, unreadable };
}

/** Adds a manifest or index to `kept`, with all that it names. False when one of them is missing, damaged or something else. */
async function follow(layout: OciLayout, digest: string, kept: Set<string>): Promise<boolean> {
  if (kept.has(digest)) return true;
  kept.add(digest);
  const document = await documentOf(layout, digest);
  if (document === undefined) return false;
  const { config, layers, manifests } = document;
  for (const part of descriptors([config, ...(Array.isArray(layers) ? layers : [])])) kept.add(part.digest);
  let whole = true;
  for (const part of descriptors(manifests)) whole = (await follow(layout, part.digest, kept)) && whole;
  return whole;
}

async function documentOf(layout: OciLayout, digest: string): Promise<Record<string, unknown> | undefined> {
  const size = lastUse(layout.blobPath(digest))?.size;
  if (size === undefined || size > MAX_DOCUMENT) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await layout.readBlob(digest)));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (isAppctlError(error) || error instanceof SyntaxError) return undefined; // damaged and set aside, or a layer
    throw error;
  }
}

function descriptors(value: unknown): Descriptor[] {
  return Array.isArray(value) ? value.filter(isDescriptor) : [];
}

/** When a file was last written, read or asked for, in milliseconds since 1970; undefined when it is not there. */
export function lastUse(path: string): { at: number; size: number } | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && { at: Math.max(found.mtimeMs, found.atimeMs), size: found.size };
}
