import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OciLayout } from "../../../src/oci/layout.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { isLong } from "../../support/amount.ts";
import { cuttingProxy } from "../../support/cutting-proxy.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { appIn, environmentIn, pauses, pushImage, repositoryAt } from "./support.ts";

/** More than a connection of a small push has bytes: what ends the loop, should it not end by itself. */
const LONGEST = 10_000;
/** So many bytes on, no connection was cut: all of them are shorter. Not every push has the same connections. */
const BEYOND = 150;
/** Connections of a push that are cut. More in a row, and the client gives up. */
const CUTS = 4;
// The tier `long` cuts at every byte; a sample cuts at other bytes in each run. CUT_FIRST repeats a run.
const step = isLong ? 1 : 89;
const firstCut = Number(process.env["CUT_FIRST"] ?? Math.floor(Math.random() * step));

describe.skipIf(!hasDockerRegistry())("between us and a registry of CNCF distribution", () => {
  let registry: DockerRegistry;
  let data: string;
  let layout: OciLayout;
  beforeAll(async () => {
    // Thousands of small pushes: a disk would take most of the time.
    data = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "every-byte-"));
    layout = new OciLayout(join(data, "layout"));
    registry = await startDockerRegistry({ dir: data });
  });
  afterAll(async () => {
    await registry?.close();
    await rm(data, { recursive: true, force: true });
  });

  /** Pushes a small image through connections that are cut, one after another, after so many bytes of one side. */
  async function pushCutAt(offsets: number[], side: "server" | "client") {
    const cutting = await cuttingProxy(registry.port, [...offsets], side);
    const { digest, descriptor, tag } = await appIn(layout, await environmentIn(layout, 500));
    const repository = repositoryAt(`127.0.0.1:${cutting.port}`, { wait: pauses().wait });
    try {
      await pushImage({ repository, layout, image: descriptor, tag });
    } finally {
      await repository.close();
      cutting.close();
    }
    return { digest, cutAfter: cutting.cutAfter };
  }

  it(`a push of a small image gets over a cut at any byte of what is sent and of what is answered (CUT_FIRST=${firstCut}, step ${step})`, async () => {
    const digests: string[] = [];
    for (const side of ["server", "client"] as const) {
      let lastCut = 0;
      let next = firstCut;
      const left: number[] = [];
      const isOpen = () => next < Math.min(LONGEST, lastCut + BEYOND + step);
      while (left.length > 0 || isOpen()) {
        // A push has several connections. An offset that is beyond the end of one of the later ones is for another push.
        const offsets = left.splice(0, CUTS);
        for (; offsets.length < CUTS && isOpen(); next += step) offsets.push(next);
        const { digest, cutAfter } = await pushCutAt(offsets, side);
        digests.push(digest);
        lastCut = Math.max(lastCut, ...cutAfter);
        left.push(...offsets.slice(1).filter((offset) => !cutAfter.includes(offset)));
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
