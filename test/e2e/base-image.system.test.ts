import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUNDLE_FILE } from "../../src/bundle/esbuild.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { writeLayer } from "../../src/image/layer.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { type Descriptor, digestOf, EPOCH, MediaType } from "../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { installed, run } from "../image/support.ts";
import { pushImage, repositoryAt } from "../oci/registry/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, World } from "./harness.ts";

interface Built {
  reference: string;
  digest: string;
  layers: { digest: string; role?: string }[];
  referrers: { digest: string }[];
}

describe.skipIf(!hasDockerRegistry() || !installed("skopeo") || !installed("umoci"))("a base image", () => {
  let world: World;
  /** Where images are pushed to, and where one of the bases is. */
  let registry: DockerRegistry;
  let proxy: FaultProxy;
  /** Another one, with the same base. */
  let elsewhere: DockerRegistry;
  let npm: TestRegistry;
  let layout: OciLayout;
  let first: Descriptor;

  beforeAll(async () => {
    world = await World.create();
    registry = await startDockerRegistry({ dir: world.folder("registry") });
    elsewhere = await startDockerRegistry({ dir: world.folder("elsewhere") });
    proxy = await faultProxy(registry.port);
    npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
    layout = new OciLayout(world.folder("bases"));
    first = await putBase("1", "first");
  });
  afterAll(async () => {
    await world?.close();
    await npm?.close();
    await proxy?.close();
    for (const each of [registry, elsewhere]) await each?.close();
  });

  /** Puts a base `bases/node:<tag>` into both registries: an index of this platform's image and another one's. */
  async function putBase(tag: string, text: string): Promise<Descriptor> {
    const manifests: (Descriptor & { platform: object })[] = [];
    for (const platform of [{ os: "plan9", architecture: "mips" }, ociTarget(hostTarget())]) {
      const content = Buffer.from(`${text} for ${platform.os}`);
      const entries = [
        { type: "directory" as const, path: "etc" },
        { type: "file" as const, path: "etc/base", executable: false, content },
      ];
      const layer = await writeLayer(layout, entries, { role: "app", level: 1 });
      const config = { Env: ["PATH=/usr/bin:/bin", "OF_BASE=yes"], WorkingDir: "/", User: "1000" };
      const { descriptor } = await writeImage(
        layout,
        {
          created: EPOCH,
          ...platform,
          config: { ...config, Entrypoint: ["/nodejs/bin/node"], Cmd: ["--help"] },
          rootfs: { type: "layers", diff_ids: [layer.diffId] },
          history: [{ created: EPOCH, created_by: "the base" }],
        },
        [{ ...layer.descriptor, mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", annotations: {} }],
      );
      manifests.push({ ...descriptor, platform });
    }
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.index, manifests }));
    for (const { host } of [registry, elsewhere]) {
      const repository = repositoryAt(host, { repository: "bases/node" });
      for (const image of manifests) await pushImage({ repository, layout, image, tag: image.digest });
      await repository.putManifest(tag, index, MediaType.index);
      await repository.close();
    }
    return { mediaType: MediaType.index, digest: digestOf(index), size: index.length };
  }

  const app = (text: string, more = "") =>
    world.folder(text, {
      "app.ts": `import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["greeting@1.0.0"], env: { OWN: "own" }, ${more} }),
          frameworkApp: { fetch: () => new Response(
            ["${text}", greeting, process.env.OWN, process.env.OF_BASE ?? "no base"].join(" ")) } });`,
    });

  const options = (cwd: string, baseImage: string, more = {}) => ({
    cwd,
    env: { npm_config_registry: npm.url, APPCTL_REGISTRY: `${proxy.host}/team`, APPCTL_BASE_IMAGE: baseImage, ...more },
  });
  const push = (cwd: string, baseImage: string, more = {}) =>
    world.json<Built>(["build", "app.ts", "--push"], options(cwd, baseImage, more));

  /** What a container engine finds at /etc/base of an image. */
  async function baseOf(reference: string): Promise<string> {
    const dir = world.folder(`unpacked-${Math.random()}`);
    await run("skopeo", [
      "copy",
      "--insecure-policy",
      "--src-tls-verify=false",
      `docker://${reference}`,
      `oci:${dir}/oci:1`,
    ]);
    await run("umoci", ["unpack", "--rootless", "--image", `${dir}/oci:1`, `${dir}/bundle`]);
    expect(await readFile(join(dir, `bundle/rootfs/app/${BUNDLE_FILE}`), "utf8")).toContain("fetch");
    return readFile(join(dir, "bundle/rootfs/etc/base"), "utf8");
  }

  it("with commands to run on it is refused where apps run as processes, before an engine is asked", async () => {
    const cwd = world.folder("commands", {
      "app.ts": `import { App, ImageSpec } from "appctl";
        export default new App({ name: "runs", frameworkApp: { fetch: () => new Response("") },
          containerImage: new ImageSpec({ builder: "docker", baseImage: "node:24-slim", aptPackages: ["curl"] }) });`,
    });
    const env = { DOCKER_HOST: "unix:///nowhere/docker.sock" };
    const { code, stderr } = await world.run(["deploy", "apps", "app.ts", "runs"], { cwd, env });
    expect([code, stderr]).toEqual([2, expect.stringContaining("runs apps as processes of this machine")]);
    expect(stderr).toContain("appctl platform start --runtime docker");
  });

  it("is put below what a deploy pushes, copied from another registry; the platform's processes do without", async () => {
    const arguments_ = ["deploy", "apps", "app.ts"];
    const { image, digest, endpoint, pushed } = await world.json<{
      image: string;
      digest: string;
      endpoint: string;
      pushed: { reference: string; digest: string };
    }>(arguments_, options(app("one"), `${elsewhere.host}/bases/node:1`));
    expect((await get(`${endpoint}/`)).body).toBe("one 1.0.0 own no base");
    // The platform's copy is another image than that in the registry, and so does not have its name.
    expect(pushed.reference).toMatch(new RegExp(`^${proxy.host}/team/web-image:`));
    expect(image).toMatch(new RegExp(`^localhost:${world.port}/web-image:`));
    expect(digest).not.toBe(pushed.digest);
    expect(await baseOf(pushed.reference)).toBe("first for linux");
    const found = await run("skopeo", ["inspect", "--tls-verify=false", `docker://${pushed.reference}`]);
    expect(JSON.parse(found.stdout).Digest).toBe(pushed.digest);
    const inspect = ["inspect", "--config", "--tls-verify=false", `docker://${pushed.reference}`];
    const { stdout } = await run("skopeo", inspect);
    expect(JSON.parse(stdout).config).toEqual({
      Env: ["OF_BASE=yes", "OWN=own", "PATH=/nodejs/bin:/usr/bin:/bin"],
      Entrypoint: ["node", "--enable-source-maps", "/app/serve.mjs"],
      ExposedPorts: { "8080/tcp": {} },
      User: "1000",
      WorkingDir: "/app",
    });
    proxy.seen.splice(0);
    const again = await world.ok(arguments_, options(app("one"), `${elsewhere.host}/bases/node:1`));
    expect(again).toContain("found. Skip building.");
    expect(proxy.seen.splice(0).filter(({ method }) => method !== "HEAD")).toEqual([]);
    await world.ok(arguments_, options(app("two"), `${elsewhere.host}/bases/node:1`));
    expect(proxy.seen.splice(0).filter(({ method }) => /PATCH|PUT/.test(method))).toHaveLength(5);
  });

  it("is mounted where it is in the same registry", async () => {
    proxy.seen.splice(0);
    const built = await push(app("mounted"), `${proxy.host}/bases/node:1`, { APPCTL_REGISTRY: `${proxy.host}/new` });
    const mounts = proxy.seen.filter(({ path, status }) => path.includes("mount=") && status === 201);
    expect(mounts.map(({ path }) => new URL(path, "http://x").searchParams.get("from"))).toEqual(["bases/node"]);
    expect(built.layers.map(({ role }) => role)).toEqual([undefined, "packages", "app"]);
    // What stands beside it is about the image on its base, not about the one on this machine.
    const bill = `docker://${built.reference.replace(/:[^:]*$/, "")}@${built.referrers[0]?.digest}`;
    const { stdout } = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", bill]);
    expect(JSON.parse(stdout).subject.digest).toBe(built.digest);
    expect(await baseOf(built.reference)).toBe("first for linux");
  });

  it("stays what it was for an environment image that exists, on every machine; a digest pins it for good", async () => {
    const before = await push(app("moving"), `${elsewhere.host}/bases/node:moving`).catch((error: Error) => error);
    expect(String(before)).toContain("NOT_IN_REGISTRY");
    await putBase("moving", "first");
    const built = await push(app("moving"), `${elsewhere.host}/bases/node:moving`);
    await putBase("moving", "second");
    const cache = { XDG_CACHE_HOME: join(world.home, "other-machine") };
    expect(await push(app("moving"), `${elsewhere.host}/bases/node:moving`, cache)).toEqual(built);
    // Another machine without anything can deploy it, too.
    const deployed = await world.run(
      ["deploy", "apps", "app.ts"],
      options(app("moving"), `${elsewhere.host}/bases/node:moving`, {
        XDG_CACHE_HOME: join(world.home, "third-machine"),
      }),
    );
    expect([deployed.code, deployed.stdout]).toEqual([0, expect.stringContaining("found. Skip building.")]);
    expect(await baseOf(built.reference)).toBe("first for linux");
    const pinned = await push(app("moving"), `${elsewhere.host}/bases/node@${first.digest}`);
    expect(await baseOf(pinned.reference)).toBe("first for linux");
    expect(pinned.reference).not.toBe(built.reference);
  });

  it("has the version of Node that the image asks for, where its configured name has a place for it", async () => {
    const built = await push(
      app("pinned", `nodeVersion: "24.1.0"`),
      `${elsewhere.host}/bases/node:{nodeVersion}`,
    ).catch((error: Error) => error);
    expect(String(built)).toContain(`${elsewhere.host}/bases/node:24.1.0 is the base of the image`);
    await putBase("24.1.0", "pinned");
    const { reference } = await push(
      app("pinned", `nodeVersion: "24.1.0"`),
      `${elsewhere.host}/bases/node:{nodeVersion}`,
    );
    expect(await baseOf(reference)).toBe("pinned for linux");
  });

  it("counts in the tag of an image that nobody pushes, and need not be reached for it", async () => {
    /** Of the environment image. */
    const tagOf = async (more: string) => {
      const { cwd, env } = options(app("unpushed", more), "nowhere.invalid/node:{nodeVersion}");
      return (await world.json<{ tag: string }>(["build", "app.ts"], { cwd, env })).tag.slice(0, 22);
    };
    expect(await tagOf(`nodeVersion: "24"`)).toBe(await tagOf(""));
    expect(await tagOf(`nodeVersion: "26"`)).not.toBe(await tagOf(""));
    expect(await tagOf(`baseImage: "nowhere.invalid/node:24"`)).toBe(await tagOf(""));
  });

  it("that is none is told by its name", async () => {
    const { code, stdout } = await world.run(["build", "app.ts", "-o", "json"], options(app("faulty"), "Not/Good"));
    expect([code, JSON.parse(stdout).error.code]).toEqual([2, "INVALID_IMAGE_NAME"]);
  });
});
