import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OciLayout } from "../../../src/oci/layout.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { folder } from "../../image/support.ts";
import { isLong, stress } from "../../support/amount.ts";
import { cuttingProxy } from "../../support/cutting-proxy.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { appIn, emptyLayout, environmentIn, pauses, pushImage, repositoryAt } from "./support.ts";

/** More than a connection of a small push has bytes: what ends the loop, should it not end by itself. */
const LONGEST = 10_000;
/** So many bytes on, no connection was cut: all of them are shorter. Not every push has the same connections. */
const BEYOND = 150;
// Each run cuts at other bytes: at every third one in the tier `long`, with STRESS=1 at each. CUT_FIRST repeats a run.
const step = isLong ? (stress > 1 ? 1 : 3) : 89;
const firstCut = Number(process.env["CUT_FIRST"] ?? Math.floor(Math.random() * step));

describe.skipIf(!hasDockerRegistry())("between us and a registry of CNCF distribution", () => {
  let registry: DockerRegistry;
  let data: string;
  let layout: OciLayout;
  beforeAll(async () => {
    data = await folder();
    layout = await emptyLayout();
    registry = await startDockerRegistry({ dir: data });
  });
  afterAll(() => registry?.close());

  /** Pushes a small image through a connection that is cut after so many bytes of one side. */
  async function pushCutAt(offset: number, side: "server" | "client") {
    const cutting = await cuttingProxy(registry.port, [offset], side);
    const { digest, descriptor, tag } = await appIn(layout, await environmentIn(layout, 500));
    const repository = repositoryAt(`127.0.0.1:${cutting.port}`, { wait: pauses().wait });
    try {
      await pushImage({ repository, layout, image: descriptor, tag });
    } finally {
      await repository.close();
      cutting.close();
    }
    return { digest, cuts: cutting.cuts };
  }

  it(`a push of a small image gets over a cut at any byte of what is sent and of what is answered (CUT_FIRST=${firstCut}, step ${step})`, async () => {
    const digests: string[] = [];
    for (const side of ["server", "client"] as const) {
      let lastCut = 0;
      for (let offset = firstCut; offset < Math.min(LONGEST, lastCut + BEYOND + step); offset += step) {
        const pushed = await pushCutAt(offset, side);
        digests.push(pushed.digest);
        if (pushed.cuts > 0) lastCut = offset;
      }
      // A request has more bytes than that, and so has an answer.
      expect(lastCut, side).toBeGreaterThan(200);
      expect(lastCut, side).toBeLessThan(LONGEST - step);
    }
    const repository = repositoryAt(registry.host, { access: "pull" });
    for (const digest of digests) expect((await repository.resolve(digest))?.digest).toBe(digest);
    await repository.close();
    // Every blob that the registry keeps is what its name says.
    const root = join(data, "data/docker/registry/v2/blobs/sha256");
    for (const file of await readdir(root, { recursive: true, encoding: "utf8" })) {
      if (file.endsWith("/data"))
        expect(digestOf(await readFile(join(root, file)))).toBe(`sha256:${file.split("/").at(-2)}`);
    }
  }, 3_600_000);
});
