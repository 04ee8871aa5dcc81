/** The runtime `docker` on a real engine: the contract, and what is a container's alone. One engine serves the whole file. */
import { execFile } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../src/engine/local/docker/docker-runtime.ts";
import { loadableImage, outlinedImage } from "../../../src/image/docker-archive.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { get } from "../../e2e/harness.ts";
import { programSpec, refOf, server, startPlatform } from "../../support/in-process.ts";
import { type DockerGround, dockerSubject } from "../contract/subjects/docker.ts";
import { holdToContract } from "../contract/suite.ts";
import { collect, temporaryDirectory } from "../helpers.ts";
import { writeBaseLayer } from "./base-layer.ts";
import { holdBuilder } from "./builder-cases.ts";
import { holdContainers } from "./container-cases.ts";
import { createDockerEngine, dockerOptions } from "./docker-engine.ts";
import { type Dockerd, noDockerd, startDockerd } from "./dockerd.ts";
import { writeProgramImage } from "./images.ts";
import { noPodman } from "./podman.ts";

/** The program that serves apps on an engine with networks, bundled. */
async function bridgeMain(): Promise<string> {
  const outfile = join(temporaryDirectory(), "bridge.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "bridge-main.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    banner: {
      js: 'import{createRequire as __makeRequire}from"node:module";const require=__makeRequire(import.meta.url);',
    },
  });
  return outfile;
}

const reason = noDockerd();
if (reason !== undefined) console.warn(`SKIPPED the runtime docker: ${reason}`);

describe.skipIf(reason !== undefined)("the runtime docker", () => {
  let dockerd: Dockerd;
  let ground: DockerGround;
  let layout: OciLayout;
  let layoutDir: string;

  beforeAll(async () => {
    layoutDir = mkdtempSync(join(tmpdir(), "ae-images-"));
    dockerd = await startDockerd();
    layout = new OciLayout(layoutDir);
    ground = { env: dockerd.env, layoutDir, base: await writeBaseLayer(layout) };
  });
  afterAll(async () => {
    await dockerd?.stop();
    rmSync(layoutDir, { recursive: true, force: true });
  });

  holdToContract(dockerSubject("docker", "framework", () => ground));

  holdContainers("docker", { networks: false }, () => ground);
  holdBuilder("Docker", () => ground);

  for (const podman of [undefined, "cni", "netavark"] as const) {
    const without = podman && noPodman({ backend: podman });
    if (without !== undefined) console.warn(`SKIPPED the runtime docker on Podman: ${without}`);
    it.skipIf(without !== undefined)(
      `keeps projects apart in networks, where the platform can be reached, with ${podman ? `Podman and ${podman}` : "Docker"}`,
      async () => {
        const argument = JSON.stringify({ ...ground, podman });
        const { stdout } = await promisify(execFile)("unshare", [
          "--net",
          process.execPath,
          await bridgeMain(),
          argument,
        ]);
        const seen = JSON.parse(stdout);
        const platform = /^appctl-[0-9a-f]{10}/.exec(seen.networks[0])?.[0];
        const own = podman ? ["bridge"] : ["bridge", "host", "none"];
        expect(seen).toEqual({
          facts: expect.stringContaining("a network for each project"),
          one: { port: "3000", ip: expect.stringMatching(/^1[07]/) },
          networks: [`${platform}-default`, `${platform}-other`, ...own],
          platform: "the platform",
          // Podman has no way to keep the containers of one network apart.
          neighbour: podman ? expect.stringContaining("3000") : "TimeoutError",
          otherProject: "TimeoutError",
          afterPrune: { pruned: [], port: "3000" },
          lastExit: "out of memory: it used more than its limit of 200Mi",
          left: { networks: own, containers: [] },
        });
      },
    );
  }

  it("serves an app through a whole platform, from its image to the proof that it is live", async () => {
    const test = await startPlatform({
      makeEngine: ({ stateDir, images, readSecret }) =>
        createDockerEngine({
          ...dockerOptions(temporaryDirectory(), layoutDir, dockerd.env),
          stateDir,
          image: (digest) => loadableImage(images, digest),
          outline: (digest) => outlinedImage(images, digest, join(stateDir, "content", "mounted")),
          readSecret,
        }),
    });
    try {
      const { images } = test.platform.services;
      await images.writeBlobStream(createReadStream(layout.blobPath(ground.base.descriptor.digest)));
      const text = server("from a container").replace('"127.0.0.1"', "process.env.HOST");
      const digest = await writeProgramImage(images, ground.base, { "server.mjs": text });
      const image = { reference: "program:1", digest };
      const { id, endpoint } = await test.client.applyApp(refOf("web"), programSpec("web"), image, "1");
      await collect(test.client.follow(refOf("web"), id, 0));
      expect((await test.client.getApp(refOf("web"))).status).toBe("Running");
      const answer = await get(endpoint.replace(/:\d+$/, `:${test.platform.port}`));
      expect([answer.status, answer.body]).toEqual([200, "from a container"]);
      expect(answer.headers["appctl-revision"]).toBe("web-00001");
      expect((await test.client.platform()).runtime).toBe("docker");
    } finally {
      await test.close();
    }
  });

  it("says which sockets were tried when no engine answers", async () => {
    const socket = join(temporaryDirectory(), "none.sock");
    const options = dockerOptions(temporaryDirectory(), layoutDir, { DOCKER_HOST: `unix://${socket}` });
    await expect(createDockerRuntime(options)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining(`${socket} (ENOENT)`),
    });
  });
});
