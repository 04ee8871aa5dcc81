import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { SHARES } from "./support.ts";

it("more than 100,000 malformed inputs are generated, and each file counts its own", () => {
  const { upstream, "forwarded-requests": forwarded, ...input } = SHARES;
  expect(Object.values(input).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(100_000);
  expect(upstream + forwarded).toBeGreaterThanOrEqual(20_000);
  const counted = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".sampled.test.ts"))
    .flatMap(
      (file) => readFileSync(join(import.meta.dirname, file), "utf8").match(/(?<=^expectShare\(")[\w-]+/gm) ?? [],
    );
  expect(counted.sort()).toEqual(Object.keys(SHARES).sort());
});
