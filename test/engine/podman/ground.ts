/** Podman's service for the cases of one file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { OciLayout } from "../../../src/image/layout.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { writeBaseLayer } from "../docker/base-layer.ts";
import { type NetworkBackend, startPodman } from "../docker/podman.ts";

/** Starts it before the first case and ends it after the last. Gives what cases ask for their ground. */
export function podmanGround(backend: NetworkBackend): () => DockerGround {
  const layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));
  let podman: Awaited<ReturnType<typeof startPodman>>;
  let ground: DockerGround;
  beforeAll(async () => {
    podman = await startPodman(backend);
    ground = { env: podman.env, layoutDir, base: await writeBaseLayer(new OciLayout(layoutDir)) };
  });
  afterAll(async () => {
    await podman?.stop();
    rmSync(layoutDir, { recursive: true, force: true });
  });
  return () => ground;
}
