import { statSync, utimesSync } from "node:fs";
import { OciLayout } from "../../oci/layout.ts";

/** A blob that was asked for within this time is not marked again, in milliseconds. */
const FINE = 60_000;

/**
 * The platform's images. A caller that gets `true` for a blob may count on it for a while: the question is noted in
 * its access time, which the removal of unused content goes by.
 */
export class BlobStore extends OciLayout {
  readonly #now: () => Date;

  constructor(dir: string, now: () => Date) {
    super(dir);
    this.#now = now;
  }

  override async hasBlob(digest: string, size?: number): Promise<boolean> {
    const path = this.blobPath(digest);
    // Without a pause between looking and noting: in between it could be removed.
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile() || (size !== undefined && found.size !== size)) return false;
    const now = this.#now().getTime();
    if (Math.max(found.atimeMs, found.mtimeMs) < now - FINE) utimesSync(path, new Date(now), found.mtime);
    return true;
  }
}
