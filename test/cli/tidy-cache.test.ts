import { existsSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { tidyCache } from "../../src/commands/shared/tidy-cache.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

it("clears up the cache though the folder for temporary files cannot be read, and once a day alone", async () => {
  const cache = temporaryDirectory();
  vi.stubEnv("TMPDIR", join(cache, "nowhere"));
  const now = Date.now();
  const old = join(cache, "locks", "old.json");
  const lay = () => {
    mkdirSync(join(cache, "locks"), { recursive: true });
    writeFileSync(old, "{}");
    utimesSync(old, new Date(0), new Date(0));
  };
  const { signal } = new AbortController();
  lay();
  await tidyCache(cache, now, signal);
  expect(existsSync(old)).toBe(false);
  lay();
  await tidyCache(cache, now + 60_000, signal);
  expect(existsSync(old)).toBe(true);
  await tidyCache(cache, now + 25 * 3600_000, signal);
  expect(existsSync(old)).toBe(false);
});
