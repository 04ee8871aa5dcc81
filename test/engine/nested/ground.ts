/** An engine for the cases of one file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { OciLayout } from "../../../src/oci/layout.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { writeBaseLayer } from "../docker/base-layer.ts";
import type { Dockerd } from "../docker/dockerd.ts";

/** Starts it before the first case and ends it after the last. Gives what cases ask for their ground. */
export function groundOf(start: () => Promise<Dockerd>): () => DockerGround {
  const layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));
  let engine: Dockerd;
  let ground: DockerGround;
  beforeAll(async () => {
    engine = await start();
    ground = { env: engine.env, layoutDir, base: await writeBaseLayer(new OciLayout(layoutDir)) };
  });
  afterAll(async () => {
    await engine?.stop();
    rmSync(layoutDir, { recursive: true, force: true });
  });
  return () => ground;
}
