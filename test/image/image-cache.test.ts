/** The cache's blobs, and the disk. */
import { rmSync, truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { ImageCache, syncCache } from "../../src/image/image-cache.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { folder } from "./support.ts";

afterEach(() => vi.restoreAllMocks());

/** Counts how often the disk is waited for. */
async function syncs() {
  const handle = await open(process.execPath, "r");
  await handle.close();
  return vi.spyOn(Object.getPrototypeOf(handle), "sync");
}

it("does not wait for the disk at each blob, but for all of them when it is asked to, once", async () => {
  const dir = await folder();
  await syncCache(); // what other tests have left
  const cache = new ImageCache(join(dir, "cache"));
  const sync = await syncs();
  const small = await cache.writeBlob(Buffer.from("small"));
  await cache.writeBlobStream([Buffer.alloc(3 << 20, "x")]);
  const gone = await cache.writeBlob(Buffer.from("gone"));
  expect(sync).not.toHaveBeenCalled();
  rmSync(cache.blobPath(gone.digest));
  await syncCache();
  // Two blobs, and the folder with their names.
  expect(sync).toHaveBeenCalledTimes(3);
  await cache.writeBlob(Buffer.from("small"));
  await syncCache();
  expect(sync).toHaveBeenCalledTimes(3);
  expect(await cache.hasBlob(small.digest, small.size)).toBe(true);
});

it("the platform's store waits before it says that a blob is there", async () => {
  const sync = await syncs();
  const store = new OciLayout(join(await folder(), "store"));
  await store.writeBlob(Buffer.from("small"));
  expect(sync).toHaveBeenCalledTimes(1);
});

it("has no blob without bytes, and makes it again", async () => {
  const cache = new ImageCache(join(await folder(), "cache"));
  const bytes = Buffer.from("bytes");
  const { digest } = await cache.writeBlob(bytes);
  truncateSync(cache.blobPath(digest));
  expect(await cache.hasBlob(digest)).toBe(false);
  await cache.writeBlob(bytes);
  expect(await cache.readBlob(digest)).toEqual(bytes);
});
