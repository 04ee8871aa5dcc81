/** Removes images and unpacked content that no revision needs. */
import { renameSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeTree } from "../../core/remove-tree.ts";
import { collectGarbage, type GarbageResult, lastUse } from "../../oci/garbage.ts";
import type { OciLayout } from "../../oci/layout.ts";
import { isDigestHex } from "../../oci/model.ts";
import type { AppStore } from "../store/app-store.ts";

/** What stays although nobody needs it, because it may be about to be needed, in milliseconds. */
export const RECENT_MS = 3600_000;
/** The same for what the platform removes by itself. */
export const KEPT_MS = 7 * 24 * 3600_000;
/** Lists of packages, each at its version, take little space, and without one the next build may get other versions. */
const LOCKS_KEPT_MS = 90 * 24 * 3600_000;
/** How often it looks, in milliseconds. */
const EVERY_MS = 24 * 3600_000;

/** What {@link Garbage} works with. */
export interface GarbagePlaces {
  images: OciLayout;
  store: AppStore;
  /** Folders with unpacked images and layers, each named by the 64 hex digits of its digest. */
  contentDirs(): readonly string[];
  /** Folder with what packages of images came to. */
  locksDir: string;
  now(): Date;
  report(message: string): void;
}

/** The removal of what is left of images. One runs at a time. */
export class Garbage {
  readonly #places: GarbagePlaces;
  #running: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(places: GarbagePlaces) {
    this.#places = places;
  }

  /** Looks every day, the first time after an hour. */
  start(): void {
    const again = (afterMs: number) => {
      this.#timer = setTimeout(() => {
        this.collect({ keptMs: KEPT_MS }).then(
          () => again(EVERY_MS),
          (error: unknown) => {
            this.#places.report(`cannot remove unneeded images: ${String(error)}`);
            again(EVERY_MS);
          },
        );
      }, afterMs).unref();
    };
    again(RECENT_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running.catch(() => undefined);
  }

  /** Removes what no revision needs and nobody has asked for in `keptMs`. */
  collect(options: { keptMs: number; dryRun?: boolean }): Promise<GarbageResult> {
    const run = this.#running.catch(() => undefined).then(() => this.#collect(options));
    this.#running = run;
    return run;
  }

  async #collect({ keptMs, dryRun }: { keptMs: number; dryRun?: boolean }): Promise<GarbageResult> {
    const { images, store, now } = this.#places;
    const before = now().getTime() - keptMs;
    const { digests, references } = neededOf(store);
    const collected = await collectGarbage(images, {
      needed: digests,
      keepName: (reference) => references.has(reference),
      before,
      dryRun,
    });
    if (collected.unreadable !== undefined) {
      this.#places.report(
        `unneeded images stay: the manifest ${collected.unreadable} is damaged, and the content that it needs is unknown`,
      );
    } else if (!dryRun) {
      for (const dir of this.#places.contentDirs()) await this.#removeContent(dir, before, collected.kept);
      await this.#removeLocks(now().getTime() - LOCKS_KEPT_MS);
    }
    return collected;
  }

  async #removeLocks(before: number): Promise<void> {
    const dir = this.#places.locksDir;
    for (const name of await readdir(dir).catch(() => [] as string[])) {
      if ((lastUse(join(dir, name))?.at ?? before) < before) await rm(join(dir, name), { force: true });
    }
  }

  /** Unpacked content can be made again of the image: what no image in the store has is gone for good. */
  async #removeContent(dir: string, before: number, kept: ReadonlySet<string>): Promise<void> {
    const { images } = this.#places;
    for (const name of await readdir(dir).catch(() => [] as string[])) {
      if (!isDigestHex(name)) continue;
      const path = join(dir, name);
      const aside = join(dir, ".tmp", `unused-${name}`);
      await mkdir(dirname(aside), { recursive: true, mode: 0o700 });
      // Without a pause until it is away: a revision that needs it has its image in the store before it asks for the content.
      const isStored = kept.has(`sha256:${name}`) || lastUse(images.blobPath(`sha256:${name}`)) !== undefined;
      if (isStored || (lastUse(path)?.at ?? before) >= before) continue;
      renameSync(path, aside);
      await removeTree(aside);
    }
  }
}

/** Digests of the images of all revisions, and the names that lead to them: their own, and their environment image's. */
function neededOf(store: AppStore): { digests: Set<string>; references: Set<string> } {
  const digests = new Set<string>();
  const references = new Set<string>();
  for (const { id } of store.all()) {
    for (const { digest, image } of store.revisions(id)) {
      digests.add(digest);
      // A registry's host and prefix stand before the name that it has here.
      for (let path = image; path !== ""; path = path.includes("/") ? path.slice(path.indexOf("/") + 1) : "") {
        references.add(path).add(path.replace(/-[0-9a-f]{12}$/, ""));
      }
    }
  }
  return { digests, references };
}
