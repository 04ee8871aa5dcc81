/** What others make of an image that `appctl build --push` brought to a registry: they pull it, and run it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUNDLE_FILE } from "../../src/bundle/esbuild.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { EPOCH } from "../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { writeBaseLayer } from "../engine/docker/base-layer.ts";
import { noDockerd, startDockerd } from "../engine/docker/dockerd.ts";
import { installed, run } from "../image/support.ts";
import { pushImage, repositoryAt } from "../oci/registry/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { noPodmanCli, podmanCli } from "../support/podman-cli.ts";
import { World } from "./harness.ts";

const withoutDockerd = noDockerd();
if (withoutDockerd !== undefined) console.warn(`SKIPPED a pushed image on Docker: ${withoutDockerd}`);
const withoutPodman = noPodmanCli();
if (withoutPodman !== undefined) console.warn(`SKIPPED a pushed image on Podman: ${withoutPodman}`);

/** Asks the app from inside its container, which has no network but its own; tries until it listens. */
const ASK = `const ask = () => fetch("http://127.0.0.1:8080/").then(async (answer) => console.log(await answer.text()),
  (error) => error.cause?.code === "ECONNREFUSED" ? setTimeout(ask, 50) : Promise.reject(error)); ask();`;

describe.skipIf(!hasDockerRegistry())("an image that was pushed", () => {
  let world: World;
  let registry: DockerRegistry;
  let npm: TestRegistry;
  let built: { reference: string; digest: string; layers: { digest: string }[] };

  beforeAll(async () => {
    world = await World.create();
    registry = await startDockerRegistry({ dir: world.folder("registry") });
    npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
    const cwd = world.folder("app", {
      "app.ts": `import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["greeting@1.0.0"], env: { OWN: "own" } }),
          frameworkApp: { fetch: () => new Response(
            ["served", greeting, process.env.OWN, process.env.OF_BASE].join(" ")) } });`,
    });
    const env = {
      npm_config_registry: npm.url,
      APPCTL_REGISTRY: `${registry.host}/team`,
      APPCTL_BASE_IMAGE: await putBase(),
    };
    built = await world.json(["build", "app.ts", "--push"], { cwd, env });
  });
  afterAll(async () => {
    await world?.close();
    await npm?.close();
    await registry?.close();
  });

  async function putBase(): Promise<string> {
    const layout = new OciLayout(world.folder("bases"));
    const layer = await writeBaseLayer(layout);
    const { descriptor } = await writeImage(
      layout,
      {
        created: EPOCH,
        ...ociTarget(hostTarget()),
        config: { Env: ["PATH=/bin", "OF_BASE=base"], WorkingDir: "/" },
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
        history: [{ created: EPOCH, created_by: "the base" }],
      },
      [layer.descriptor],
    );
    const repository = repositoryAt(registry.host, { repository: "bases/node" });
    await pushImage({ repository, layout, image: descriptor, tag: "1" });
    await repository.close();
    return `${registry.host}/bases/node:1`;
  }

  it.skipIf(withoutDockerd !== undefined)("is pulled and run by Docker, by its tag and by its digest", async () => {
    const dockerd = await startDockerd();
    const docker = async (...args: string[]) => {
      const env = { PATH: process.env["PATH"], HOME: world.home, ...dockerd.env };
      return (await run("docker", args, { env })).stdout.trim();
    };
    try {
      await docker("pull", "--quiet", built.reference);
      const byDigest = `${built.reference.replace(/:[^:/]*$/, "")}@${built.digest}`;
      await docker("pull", "--quiet", byDigest);
      const ids = await docker("images", "--no-trunc", "--format", "{{.ID}}");
      expect(new Set(ids.split("\n")).size).toBe(1);
      const container = await docker("run", "--detach", "--network", "none", byDigest);
      expect(await docker("exec", container, "node", "-e", ASK)).toBe("served 1.0.0 own base");
      await docker("rm", "--force", container);
    } finally {
      await dockerd.stop();
    }
  });

  it.skipIf(withoutPodman !== undefined)("is pulled and run by Podman, by its tag and by its digest", async () => {
    const podman = podmanCli(world.folder("podman"), registry.host);
    try {
      await podman.run("pull", "--quiet", built.reference);
      const byDigest = `${built.reference.replace(/:[^:/]*$/, "")}@${built.digest}`;
      await podman.run("pull", "--quiet", byDigest);
      expect(await podman.run("image", "inspect", "--format", "{{.Digest}}", byDigest)).toBe(built.digest);
      const container = await podman.run("run", "--detach", byDigest);
      expect(await podman.run("exec", container, "node", "-e", ASK)).toBe("served 1.0.0 own base");
      await podman.run("rm", "--force", "--time", "1", container);
    } finally {
      podman.close();
    }
  });

  it.skipIf(!installed("skopeo") || !installed("umoci"))("is copied on by skopeo, and unpacked by umoci", async () => {
    const dir = world.folder("copied");
    const from = ["copy", "--insecure-policy", "--src-tls-verify=false", `docker://${built.reference}`];
    await run("skopeo", [...from, "--dest-tls-verify=false", `docker://${registry.host}/mirror/web:1`]);
    const mirrored = ["inspect", "--tls-verify=false", `docker://${registry.host}/mirror/web:1`];
    expect(JSON.parse((await run("skopeo", mirrored)).stdout)).toMatchObject({
      Digest: built.digest,
      Layers: built.layers.map(({ digest }) => digest),
    });
    await run("skopeo", [...from, `oci:${dir}/oci:1`]);
    await run("umoci", ["unpack", "--rootless", "--image", `${dir}/oci:1`, `${dir}/bundle`]);
    const root = join(dir, "bundle/rootfs");
    expect(await readFile(join(root, `app/${BUNDLE_FILE}`), "utf8")).toContain("served");
    expect(JSON.parse(await readFile(join(root, "app/node_modules/greeting/package.json"), "utf8")).version).toBe(
      "1.0.0",
    );
    const { process: started } = JSON.parse(await readFile(join(dir, "bundle/config.json"), "utf8"));
    expect(started.args).toEqual(["node", "--enable-source-maps", "/app/serve.mjs"]);
    expect(started.env).toEqual(expect.arrayContaining(["OWN=own", "OF_BASE=base"]));
  });
});
