/** The runtime `docker` on a real engine: the contract, and what is a container's alone. One engine serves the whole file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { OciLayout } from "../../../src/image/layout.ts";
import { type DockerGround, dockerSubject } from "../contract/subjects/docker.ts";
import { holdToContract } from "../contract/suite.ts";
import { writeBaseLayer } from "./base-layer.ts";
import { type Dockerd, noDockerd, startDockerd } from "./dockerd.ts";

const reason = noDockerd();
if (reason !== undefined) console.warn(`SKIPPED the runtime docker: ${reason}`);

describe.skipIf(reason !== undefined)("the runtime docker", () => {
  let dockerd: Dockerd;
  let ground: DockerGround;
  const layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));

  beforeAll(async () => {
    dockerd = await startDockerd();
    ground = { env: dockerd.env, layoutDir, base: await writeBaseLayer(new OciLayout(layoutDir)) };
  });
  afterAll(async () => {
    await dockerd?.stop();
    rmSync(layoutDir, { recursive: true, force: true });
  });

  for (const kind of ["framework", "args"] as const) holdToContract(dockerSubject("docker", kind, () => ground));
});
