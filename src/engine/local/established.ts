/**
 * Remembers which revisions have once served. Such a revision is started again and again when it does not come up, for
 * example after the machine was restarted before the database it needs; a new one fails at its first crash.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AppRef } from "../../contract/types.ts";
import { writeDurably } from "../../core/write-durably.ts";

/** One empty file a revision, below `dir`. */
export class EstablishedRevisions {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** True when the revision has served before. */
  has(ref: AppRef, revision: string): boolean {
    return existsSync(join(this.#appDir(ref), revision));
  }

  /** Remembers that the revision serves. */
  add(ref: AppRef, revision: string): void {
    mkdirSync(this.#appDir(ref), { recursive: true, mode: 0o700 });
    writeDurably(join(this.#appDir(ref), revision), "");
  }

  /** Forgets an app. */
  remove(ref: AppRef): void {
    rmSync(this.#appDir(ref), { recursive: true, force: true });
  }

  #appDir(ref: AppRef): string {
    return join(this.#dir, ref.project, ref.domain, ref.name);
  }
}
