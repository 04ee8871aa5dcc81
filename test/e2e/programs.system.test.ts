/** What runs while an image is built, with the real parts: Debian's apt in a real engine, on a base that asks for a password. */
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { EPOCH } from "../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { noDebian, writeDebianLayer } from "../engine/docker/debian-base.ts";
import { type Dockerd, noDockerd, startDockerd } from "../engine/docker/dockerd.ts";
import { pushImage, repositoryAt } from "../oci/registry/support.ts";
import { type DockerRegistry, HTPASSWD, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { get, World } from "./harness.ts";

const reason = noDockerd() ?? noDebian() ?? (hasDockerRegistry() ? undefined : "there is no docker-registry");
if (reason !== undefined) console.warn(`SKIPPED programs of an image: ${reason}`);

describe.skipIf(reason !== undefined)("an image with Debian packages and commands", () => {
  let world: World;
  let dockerd: Dockerd;
  let registry: DockerRegistry;
  let base: string;

  beforeAll(async () => {
    world = await World.create();
    dockerd = await startDockerd();
    registry = await startDockerRegistry({ dir: world.folder("registry"), auth: { htpasswd: HTPASSWD } });
    base = await putBase();
  }, 240_000);
  afterAll(async () => {
    await world?.close();
    await registry?.close();
    await dockerd?.stop();
  });

  const signedIn = () => {
    const auth = Buffer.from("ann:open sesame").toString("base64");
    return {
      DOCKER_CONFIG: world.folder("signed-in", {
        "config.json": JSON.stringify({ auths: { [registry.host]: { auth } } }),
      }),
    };
  };

  async function putBase(): Promise<string> {
    const layout = new OciLayout(world.folder("bases"));
    const layer = await writeDebianLayer(layout);
    const { descriptor } = await writeImage(
      layout,
      {
        created: EPOCH,
        ...ociTarget(hostTarget()),
        config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], WorkingDir: "/" },
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
        history: [{ created: EPOCH, created_by: "Debian" }],
      },
      [layer.descriptor],
    );
    const credentials = { kind: "password" as const, username: "ann", password: new Redacted("open sesame") };
    const repository = repositoryAt(registry.host, { repository: "bases/debian", credentials });
    await pushImage({ repository, layout, image: descriptor, tag: "1" });
    await repository.close();
    return `${registry.host}/bases/debian:1`;
  }

  const options = (aptPackages: string[], more: Record<string, string>) => ({
    cwd: world.folder(`of-${aptPackages.join("-")}`, {
      "app.ts": `import { execFileSync } from "node:child_process";
        import { readFileSync } from "node:fs";
        import { App, ImageSpec } from "appctl";
        export default new App({ name: "greeter", requiresAuth: false,
          containerImage: new ImageSpec({ builder: "docker", baseImage: ${JSON.stringify(base)},
            aptPackages: ${JSON.stringify(aptPackages)}, commands: ["hello -t > /greeting"] }),
          frameworkApp: { fetch: () => new Response(
            execFileSync("hello", { encoding: "utf8" }) + readFileSync("/greeting", "utf8")) } });`,
    }),
    env: { ...dockerd.env, APPCTL_RUNTIME: "docker", ...more },
  });
  const deploy = ["deploy", "apps", "app.ts", "greeter"];

  it("is refused in the engine's words when nobody has signed in to its base's registry", async () => {
    const { code, stderr } = await world.run(deploy, options(["hello"], { DOCKER_CONFIG: world.folder("nobody") }));
    expect(code).toBe(7);
    expect(stderr).toMatch(/no basic auth credentials|unauthorized|authentication required/);
  });

  it("has the packages of Debian's own mirror, which its commands and the app can use", async () => {
    const { endpoint } = await world.json<{ endpoint: string }>(deploy, options(["hello"], signedIn()));
    expect((await get(`${endpoint}/`)).body).toBe("Hello, world!\nhello, world\n");
    const again = await world.ok(deploy, options(["hello"], { DOCKER_HOST: "unix:///nowhere.sock" }));
    expect(again).toContain("found. Skip building.");
  }, 240_000);

  it("names the package that Debian does not have", async () => {
    const { code, stderr } = await world.run(deploy, options(["no-such-package-of-debian"], signedIn()));
    expect(code).toBe(7);
    expect(stderr).toContain("Unable to locate package no-such-package-of-debian");
    expect(stderr).toContain("a command ended with exit code 100");
    expect(stderr).not.toContain("open sesame");
  }, 120_000);
});
