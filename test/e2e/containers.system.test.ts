/** The runtime `docker` as a user has it: a real engine, a base image in a real registry, and the CLI's own deploy. */

import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppStatus } from "../../src/contract/types.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { EPOCH } from "../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { writeBaseLayer } from "../engine/docker/base-layer.ts";
import { type Dockerd, noDockerd, startDockerd } from "../engine/docker/dockerd.ts";
import { pushImage, repositoryAt } from "../oci/registry/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, World } from "./harness.ts";

const reason = noDockerd() ?? (hasDockerRegistry() ? undefined : "there is no docker-registry");
if (reason !== undefined) console.warn(`SKIPPED deploys into containers: ${reason}`);

describe.skipIf(reason !== undefined)("a deploy into containers", () => {
  let world: World;
  let dockerd: Dockerd;
  let registry: DockerRegistry;
  let npm: TestRegistry;
  let base: string;

  beforeAll(async () => {
    world = await World.create();
    dockerd = await startDockerd();
    registry = await startDockerRegistry({ dir: world.folder("registry") });
    npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
    base = await putBase();
  });
  afterAll(async () => {
    await world?.close();
    await npm?.close();
    await registry?.close();
    await dockerd?.stop();
  });

  async function putBase(tag = "1", text = "the base"): Promise<string> {
    const layout = new OciLayout(world.folder("bases"));
    const layer = await writeBaseLayer(layout);
    const { descriptor } = await writeImage(
      layout,
      {
        created: EPOCH,
        ...ociTarget(hostTarget()),
        config: { Env: ["PATH=/bin", "OF_BASE=yes"], WorkingDir: "/" },
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
        history: [{ created: EPOCH, created_by: text }],
      },
      [layer.descriptor],
    );
    const repository = repositoryAt(registry.host, { repository: "bases/node" });
    await pushImage({ repository, layout, image: descriptor, tag });
    await repository.close();
    return `${registry.host}/bases/node:${tag}`;
  }

  const options = (text: string, more: Record<string, string> = {}) => ({
    cwd: world.folder(text, {
      "app.ts": `import { readdirSync } from "node:fs";
        import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["greeting@1.0.0"] }),
          frameworkApp: { fetch: () => new Response(
            ["${text}", greeting, process.env.OF_BASE, readdirSync("/").includes("work")].join(" ")) } });`,
    }),
    env: { ...dockerd.env, npm_config_registry: npm.url, APPCTL_RUNTIME: "docker", ...more },
  });
  const deploy = ["deploy", "apps", "app.ts", "web"];

  it("is refused before anything is built when the image has no base", async () => {
    const { code, stderr, stdout } = await world.run(deploy, options("none", { APPCTL_BASE_IMAGE: "scratch" }));
    expect([code, stderr, stdout]).toEqual([2, expect.stringContaining("has no base with Node in it"), ""]);
    expect(stderr).toContain('baseImage: "node:24-slim"');
    expect(Buffer.from(await world.ok(["get", "apps"], options("none"))).includes("web")).toBe(false);
  });

  it("puts the base below the platform's copy of the image, and the app serves on it", async () => {
    const based = { APPCTL_BASE_IMAGE: base };
    const { endpoint } = await world.json<{ endpoint: string }>(deploy, options("one", based));
    expect((await get(`${endpoint}/`)).body).toBe("one 1.0.0 yes false");
    const again = await world.ok(deploy, options("two", based));
    expect(again).toContain("found. Skip building.");
    expect((await get(`${endpoint}/`)).body).toBe("two 1.0.0 yes false");
    expect((await world.run(["delete", "app", "web", "--yes"], options("two"))).code).toBe(0);
  });

  it("puts it below an image that the platform has built, which needs nothing of it here", async () => {
    world.folder(".", { ".npmrc": `registry=${npm.url}\n` });
    const set = options("remote", { APPCTL_BASE_IMAGE: base, XDG_CACHE_HOME: world.folder("other-machine") });
    const file = join(set.cwd, "app.ts");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("new ImageSpec({", 'new ImageSpec({ builder: "remote", env: { REMOTE: "yes" },'));
    const { code, stdout, stderr } = await world.run([...deploy, "-o", "json"], set);
    expect([code, stderr]).toEqual([0, expect.stringContaining("installing 1 package on the platform")]);
    const { endpoint } = JSON.parse(stdout) as { endpoint: string };
    expect((await get(`${endpoint}/`)).body).toBe("remote 1.0.0 yes false");
    expect((await world.run(["delete", "app", "web", "--yes"], set)).code).toBe(0);
  });

  it("keeps the base that it has when that one's tag moves, or its registry is away", async () => {
    const moving = `${registry.host}/bases/node:moving`;
    await putBase("moving", "first");
    const set = options("kept", { APPCTL_BASE_IMAGE: moving });
    const { digest } = await world.json<{ digest: string }>(deploy, set);
    await putBase("moving", "second");
    const again = await world.json<{ digest: string; unchanged: boolean }>(deploy, set);
    expect(again).toMatchObject({ digest, unchanged: true });
    expect((await world.run(["delete", "app", "web", "--yes"], set)).code).toBe(0);
  });

  it("runs the very image that its registry got", async () => {
    const set = options("same", { APPCTL_BASE_IMAGE: base, APPCTL_REGISTRY: `http://${registry.host}/apps` });
    const { image, digest, pushed } = await world.json<{ image: string; digest: string; pushed: object }>(deploy, set);
    expect(pushed).toEqual({ reference: image, digest });
    expect((await world.run(["delete", "app", "web", "--yes"], set)).code).toBe(0);
  });

  it("keeps apps in containers when the platform was killed or stopped and a command that says nothing starts it", async () => {
    const { APPCTL_RUNTIME: _, ...env } = options("back", { APPCTL_BASE_IMAGE: base }).env;
    const set = { ...options("back"), env };
    await world.run(["platform", "stop"], set);
    expect(await world.ok(["platform", "start", "--runtime", "docker"], set)).toContain("apps in containers");
    const { endpoint } = await world.json<{ endpoint: string }>(deploy, set);
    const status = async () => world.json<{ pid: number; runtime: string }>(["platform", "status"], set);
    const replica = async () => (await world.json<AppStatus>(["get", "apps", "web"], set)).replicas[0];
    const [{ pid }, before] = [await status(), await replica()];
    process.kill(pid, "SIGKILL");
    // The container goes on, and the gateway with it; the next platform takes both over.
    for (let request = 0; request < 20; request++)
      expect((await get(`${endpoint}/`)).body).toBe("back 1.0.0 yes false");
    let back = await status();
    while (back.pid === pid) back = await status();
    expect(back.runtime).toBe("docker");
    const { name, pid: process0, restarts } = before ?? {};
    expect(await replica()).toMatchObject({ name, pid: process0, restarts, state: "Ready" });
    expect((await get(`${endpoint}/`)).body).toBe("back 1.0.0 yes false");
    // And it ends it as its own.
    await world.ok(["stop", "apps", "web"], set);
    expect(await replica()).toBeUndefined();
    await world.ok(["start", "apps", "web"], set);
    expect((await get(`${endpoint}/`)).body).toBe("back 1.0.0 yes false");
    await world.ok(["platform", "stop"], set);
    expect((await world.run(["delete", "app", "web", "--yes"], set)).code).toBe(0);
    expect((await status()).runtime).toBe("docker");
  });

  it("makes no secret when it is refused for its base", async () => {
    const cwd = world.folder("secretive", {
      "app.ts": `import { App, Secret } from "appctl";
        export default new App({ name: "web", secrets: [new Secret({ key: "NEW_ONE", envVar: "NEW_ONE" })],
          frameworkApp: { fetch: () => new Response("") } });`,
    });
    const env = { ...dockerd.env, APPCTL_RUNTIME: "docker", APPCTL_BASE_IMAGE: "scratch" };
    const refused = await world.run([...deploy, "--secret", "NEW_ONE=env:GIVEN"], {
      cwd,
      env: { ...env, GIVEN: "value" },
    });
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("has no base with Node in it")]);
    expect((await world.run(["get", "secret", "NEW_ONE"], { cwd, env })).code).toBe(4);
  });

  const withCommands = (folder: string, commands: string[], more: Record<string, string> = {}) => ({
    cwd: world.folder(folder, {
      "app.ts": `import { readFileSync } from "node:fs";
        import { App, ImageSpec } from "appctl";
        export default new App({ name: "built", requiresAuth: false,
          containerImage: new ImageSpec({ builder: "docker", baseImage: ${JSON.stringify(base)},
            commands: ${JSON.stringify(commands)} }),
          frameworkApp: { fetch: () => new Response("${folder} " + readFileSync("/made", "utf8")) } });`,
    }),
    env: { ...dockerd.env, npm_config_registry: npm.url, APPCTL_RUNTIME: "docker", ...more },
  });
  const built = ["deploy", "apps", "app.ts", "built"];

  it("runs the image's commands with the engine, quoted as they are written, and only once", async () => {
    const commands = [`x='a "b" \\ $HOME'; echo "$x" > /made`, "echo line\necho 'second $x' >> /made"];
    const { endpoint } = await world.json<{ endpoint: string }>(built, withCommands("first", commands));
    expect((await get(`${endpoint}/`)).body).toBe('first a "b" \\ $HOME\nsecond $x\n');
    const again = await world.run(built, withCommands("later", commands));
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("found. Skip building.")]);
    expect(`${again.stdout}${again.stderr}`).not.toContain("Step ");
    expect((await get(`${endpoint}/`)).body).toContain("later a ");
    expect((await world.run(["delete", "app", "built", "--yes"], withCommands("later", commands))).code).toBe(0);
  });

  it("says which command failed, with its last lines and exit code, and what the Dockerfile was", async () => {
    const { code, stderr } = await world.run(built, withCommands("fails", ["echo about to fail; exit 23"]));
    expect(code).toBe(7);
    expect(stderr).toContain("a command ended with exit code 23");
    expect(stderr).toMatch(/^ *about to fail$/m);
    expect(stderr).toContain(`FROM ${base}`);
    expect(stderr).not.toContain("built.");
    // What has not run is not found, and a build that only keeps the image here runs it as well.
    const again = await world.run(["build", "app.ts"], withCommands("fails", ["echo about to fail; exit 23"]));
    expect([again.code, again.stdout]).toEqual([7, expect.stringMatching(/not found\. Building…\n$/)]);
    expect(again.stderr).toContain("a command ended with exit code 23");
  });

  it("runs the image's commands also when the image is only built, and finds it afterwards", async () => {
    const set = withCommands("kept", ["echo kept > /made"]);
    const first = await world.run(["build", "app.ts"], set);
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining("not found. Building…")]);
    expect(first.stderr.indexOf("Step 2/")).toBeGreaterThan(0);
    expect(first.stderr.indexOf(" built.")).toBeGreaterThan(first.stderr.indexOf("Step 2/"));
    const args = ["build", "app.ts", "--push", "--registry", `http://${registry.host}/kept`];
    const again = await world.run(args, { ...set, env: { ...set.env, DOCKER_HOST: "unix:///nowhere.sock" } });
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("found on this machine. Skip building.")]);
  });

  it("pushes what the commands made to a registry, as layers of the image", async () => {
    const set = withCommands("pushed", ["echo pushed > /made"]);
    const args = ["build", "app.ts", "built", "--push", "--registry", `http://${registry.host}/apps`, "-o", "json"];
    const { code, stdout, stderr } = await world.run(args, set);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    const { layers } = JSON.parse(stdout) as { layers: { digest: string; role?: string }[] };
    // The base's layer, that of the command, and the app's.
    expect(layers.map(({ role }) => role)).toEqual([undefined, undefined, "app"]);
  });

  it("refuses commands without a base", async () => {
    const bare = withCommands("bare", ["echo x > /made"]);
    const { code, stderr } = await world.run(["build", "app.ts", "none"], {
      env: { ...bare.env, APPCTL_BASE_IMAGE: "scratch" },
      cwd: world.folder("baseless", {
        "app.ts": `import { App, ImageSpec } from "appctl";
          export default new App({ name: "none", frameworkApp: { fetch: () => new Response("") },
            containerImage: new ImageSpec({ builder: "docker", commands: ["true"] }) });`,
      }),
    });
    expect([code, stderr]).toEqual([2, expect.stringContaining("run on a base image")]);
  });

  it("says which sockets it tried when no engine answers", async () => {
    const gone = { DOCKER_HOST: "unix:///nowhere/docker.sock" };
    const { code, stderr } = await world.run(built, withCommands("gone", ["echo other > /made"], gone));
    expect(code).toBe(6);
    expect(stderr).toContain("/nowhere/docker.sock");
    expect(stderr).toContain("DOCKER_HOST=");
  });
});
