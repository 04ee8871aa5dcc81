/**
 * The contract on Podman's service. It is no test file of the suite by its name: `podman.test.ts` runs it in a network of its
 * own, since Podman's networks and firewall rules would change the machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { OciLayout } from "../../../src/image/layout.ts";
import { type DockerGround, dockerSubject } from "../contract/subjects/docker.ts";
import { holdToContract } from "../contract/suite.ts";
import { writeBaseLayer } from "../docker/base-layer.ts";
import { holdBuilder } from "../docker/builder-cases.ts";
import { holdContainers } from "../docker/container-cases.ts";
import type { Dockerd } from "../docker/dockerd.ts";
import { startPodman } from "../docker/podman.ts";

let podman: Dockerd;
let ground: DockerGround;
const layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));

beforeAll(async () => {
  podman = await startPodman();
  ground = { env: podman.env, layoutDir, base: await writeBaseLayer(new OciLayout(layoutDir)) };
});
afterAll(async () => {
  await podman?.stop();
  rmSync(layoutDir, { recursive: true, force: true });
});

holdToContract(dockerSubject("podman", "framework", () => ground));
holdContainers("podman", { networks: true }, () => ground);
holdBuilder("Podman", () => ground);
