import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "../core/write-atomically.ts";
import type { OciLayout } from "../oci/layout.ts";
import { hexOf } from "../oci/model.ts";

/** Changes with every change of how layers are compressed: what was noted before is then of no use. */
const VERSION = 1;

/**
 * What archives came to when they were compressed, by the digest of the archive: packing the same files again, as most
 * deploys do, then compresses nothing. Notes are next to the blobs of a layout; losing them costs only time.
 */
export class LayerMemo {
  readonly #layout: OciLayout;

  constructor(layout: OciLayout) {
    this.#layout = layout;
  }

  /** The blob that the archive `diffId` was compressed to with `level`, when the layout still has it. */
  async find(diffId: string, level: number): Promise<{ digest: string; size: number } | undefined> {
    try {
      const { digest, size } = JSON.parse(await readFile(this.#file(diffId, level), "utf8"));
      return (await this.#layout.hasBlob(digest, size)) ? { digest, size } : undefined;
    } catch {
      return undefined; // never noted, or half a note: it is compressed again, and noted again
    }
  }

  /** Notes it. Does not wait: that would take longer than the few bytes. */
  note(diffId: string, level: number, { digest, size }: { digest: string; size: number }): void {
    writeAtomically(this.#file(diffId, level), JSON.stringify({ digest, size }));
  }

  #file(diffId: string, level: number): string {
    return join(this.#layout.dir, "compressed", `v${VERSION}-${level}`, hexOf(diffId));
  }
}
