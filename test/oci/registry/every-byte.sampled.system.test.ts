import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { pushImage } from "../../../src/oci/registry/push-image.ts";
import { folder } from "../../image/support.ts";
import { isLong } from "../../support/amount.ts";
import { cuttingProxy } from "../../support/cutting-proxy.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { appIn, emptyLayout, environmentIn, pauses, repositoryAt } from "./support.ts";

/** More than a connection of a small push has bytes. */
const LONGEST = 3000;
// Each run cuts at other bytes, and the tier `long` at every one. CUT_FIRST repeats a run.
const step = isLong ? 1 : 89;
const firstCut = Number(process.env["CUT_FIRST"] ?? Math.floor(Math.random() * step));

describe.skipIf(!hasDockerRegistry())("between us and a registry of CNCF distribution", () => {
  let registry: DockerRegistry;
  let data: string;
  beforeAll(async () => {
    data = await folder();
    registry = await startDockerRegistry({ dir: data });
  });
  afterAll(() => registry?.close());

  /** Pushes a small image through a connection that is cut after so many bytes of one side. */
  async function pushCutAt(offset: number, side: "server" | "client") {
    const cutting = await cuttingProxy(registry.port, [offset], side);
    const layout = await emptyLayout();
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
    const digests = new Set<string>();
    let cuts = 0;
    for (const side of ["server", "client"] as const) {
      for (let offset = firstCut; offset < LONGEST; offset += step) {
        const pushed = await pushCutAt(offset, side);
        digests.add(pushed.digest);
        cuts += pushed.cuts;
      }
    }
    expect(digests.size).toBe(2 * Math.ceil((LONGEST - firstCut) / step));
    // The others were after the last byte of their connection: how many it gets is not the same each time.
    expect(cuts).toBeGreaterThan(20);
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
