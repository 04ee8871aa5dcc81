import { Buffer } from "node:buffer";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { run } from "../image/support.ts";
import { type DockerRegistry, HTPASSWD, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { forwardProxy } from "../support/forward-proxy.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, World } from "./harness.ts";

/** What `-o json` of a deploy has of its image. */
interface Deployed {
  image: string;
  digest: string;
  endpoint: string;
  unchanged: boolean;
}

interface Built {
  reference: string;
  tag: string;
  digest: string;
  size: number;
  layers: { digest: string; role?: string }[];
  pushed: boolean;
  referrers: { digest: string; artifactType: string }[];
}

describe.skipIf(!hasDockerRegistry())("images in a registry", () => {
  let world: World;
  let registry: DockerRegistry;
  let proxy: FaultProxy;
  let npm: TestRegistry;
  beforeAll(async () => {
    world = await World.create();
    registry = await startDockerRegistry({ dir: world.folder("registry") });
    proxy = await faultProxy(registry.port);
    npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
  });
  afterAll(async () => {
    await world?.close();
    await npm?.close();
    await proxy?.close();
    await registry?.close();
  });
  afterEach(() => {
    proxy.fault = () => undefined;
  });

  /** A folder with an app that says `text`; its image has one package. */
  const app = (text: string, options = "") =>
    world.folder(text, {
      "app.ts": `import { App, ImageSpec } from "appctl";
        import greeting from "greeting";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ["greeting@1.0.0"], ${options} }),
          frameworkApp: { fetch: () => new Response("${text} " + greeting) } });`,
    });
  // The base of images has tests of its own, and Docker Hub is not there for them.
  const env = (more: Record<string, string> = {}) => ({
    npm_config_registry: npm.url,
    APPCTL_BASE_IMAGE: "scratch",
    ...more,
  });
  const sent = () => proxy.seen.splice(0).filter(({ method, status }) => /PATCH|PUT/.test(method) && status > 0);

  it("are pushed by a deploy, found by the next, and only what has changed is sent", async () => {
    const deploy = (cwd: string, more = {}) =>
      world.json<Deployed>(["deploy", "apps", "app.ts", "--registry", `${proxy.host}/team`], { cwd, env: env(more) });
    const first = await deploy(app("one"));
    expect(first.image).toMatch(new RegExp(`^${proxy.host}/team/web-image:[\\w-]{22}-[0-9a-f]{12}$`));
    expect((await get(`${first.endpoint}/`)).body).toBe("one 1.0.0");
    // Packages, its configuration and manifest; app, its configuration and manifest; the bill of materials, its configuration,
    // its manifest and the list with it.
    expect(sent()).toHaveLength(10);
    const { stdout } = await run("skopeo", ["inspect", "--tls-verify=false", `docker://${first.image}`]);
    expect(JSON.parse(stdout).Digest).toBe(first.digest);

    const same = await world.ok(["deploy", "apps", "app.ts", "--registry", `${proxy.host}/team`], {
      cwd: app("one"),
      env: env(),
    });
    expect(same).toMatch(new RegExp(`^Image ${proxy.host}/team/web-image:[\\w-]{22} found. Skip building.$`, "m"));
    expect(sent()).toEqual([]);

    const changed = await deploy(app("two"));
    expect((await get(`${changed.endpoint}/`)).body).toBe("two 1.0.0");
    // Of the bill, which says the same, the manifest with the new subject, and the list with it.
    expect(sent()).toHaveLength(5);
  });

  it("that were built on another machine are found, and what the platform lacks of them comes from there", async () => {
    const built = await world.json<Built>(["build", "app.ts", "--registry", proxy.host, "--push"], {
      cwd: app("far", `env: { FAR: "away" }`),
      env: env({ XDG_CACHE_HOME: join(world.home, "other-machine") }),
    });
    expect(built.pushed).toBe(true);
    sent();
    const done = await world.run(["deploy", "apps", "app.ts", "--registry", proxy.host], {
      cwd: app("far", `env: { FAR: "away" }`),
      env: env(),
    });
    expect(done.stdout).toContain("found. Skip building.");
    expect(done.code).toBe(0);
    expect(sent()).toEqual([]);
  });

  it("go where the image says, else where the environment or a file says, but the flag wins", async () => {
    const build = (cwd: string, args: string[], more: Record<string, string> = {}) =>
      world.json<Built>(["build", "app.ts", ...args], { cwd, env: env(more) });
    const [own, none] = [app("own", `registry: "own.test/x"`), app("none")];
    const place = async (cwd: string, args: string[], more = {}) =>
      (await build(cwd, args, more)).reference.replace(/\/?web-image:.*/, "");
    expect(await place(own, [], { APPCTL_REGISTRY: "env.test" })).toBe("own.test/x");
    expect(await place(own, ["--registry", "flag.test/"])).toBe("flag.test");
    expect(await place(none, [], { APPCTL_REGISTRY: "env.test" })).toBe("env.test");
    await writeFile(join(none, "appctl.yaml"), "registry: file.test/a/b\n");
    expect(await place(none, [])).toBe("file.test/a/b");
  });

  it("are built without a platform, the same each time, and pushed when asked", async () => {
    const build = (...args: string[]) =>
      world.json<Built>(["build", "app.ts", "web", ...args], { cwd: app("built"), env: env() });
    const here = await build();
    expect(here).toMatchObject({ pushed: false, reference: expect.stringMatching(/^web-image:/) });
    expect(here.layers.map(({ role }) => role)).toEqual(["packages", "app"]);
    const pushed = await build("--registry", proxy.host, "--push");
    expect(pushed).toEqual({ ...here, pushed: true, reference: `${proxy.host}/${here.reference}` });
    const { stdout } = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${pushed.reference}`]);
    expect(JSON.parse(stdout).layers.map(({ digest }: { digest: string }) => digest)).toEqual(
      here.layers.map(({ digest }) => digest),
    );
    const [bill] = pushed.referrers;
    expect(bill?.artifactType).toBe("application/vnd.cyclonedx+json");
    const list = `${proxy.host}/web-image:${pushed.digest.replace(":", "-")}`;
    const listed = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${list}`]);
    expect(JSON.parse(listed.stdout).manifests).toEqual([expect.objectContaining({ ...bill })]);
    const text = await world.ok(["build", "app.ts", "--registry", proxy.host, "--push"], {
      cwd: app("built"),
      env: env(),
    });
    expect(text.trimEnd().split("\n").at(-1)).toBe(`Pushed ${pushed.reference}@${pushed.digest}`);
  });

  it("are not pushed when there is no registry, or a faulty one, and it says what to type", async () => {
    const fault = async (...args: string[]) => {
      const { code, stdout } = await world.run(["build", "app.ts", ...args, "-o", "json"], {
        cwd: app("built"),
        env: env(),
      });
      expect(code).toBe(2);
      return JSON.parse(stdout).error;
    };
    expect(await fault("--push")).toMatchObject({ code: "NO_REGISTRY", hint: expect.stringContaining("--registry") });
    expect(await fault("--registry", "my-org", "--push")).toMatchObject({ code: "INVALID_CONFIG" });
    expect(await fault("nobody")).toMatchObject({ code: "APP_NOT_FOUND" });
  });

  it("end the deploy with the reason when the registry cannot be asked, and nothing is deployed", async () => {
    const folder = app("never");
    const deploy = () =>
      world.run(["deploy", "apps", "app.ts", "--registry", `${proxy.host}/away`, "-o", "json"], {
        cwd: folder,
        env: env(),
      });
    proxy.fault = () => ({ answer: { status: 429, headers: { "retry-after": "9999" } } });
    const busy = await deploy();
    expect(busy.code).toBe(6);
    expect(JSON.parse(busy.stdout).error).toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    proxy.fault = ({ method }) => (method === "POST" ? { answer: { status: 403, body: "{}" } } : undefined);
    const refused = await deploy();
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.stdout).error).toMatchObject({ code: "REGISTRY_REFUSED" });
    const { endpoint } = await world.json<{ endpoint: string }>(["get", "apps", "web"]);
    expect((await get(`${endpoint}/`)).body).not.toContain("never");
  });

  it("go through the proxy that the environment names, whose password nobody sees", async () => {
    const through = await forwardProxy({ "registry.test:80": registry.port }, { user: "ann:open sesame" });
    const push = (user: string, more: string[] = []) =>
      world.run(["build", "app.ts", "--registry", "http://registry.test/far", "--push", "-o", "json", ...more], {
        cwd: app("built"),
        env: env({ HTTP_PROXY: `http://${user}@127.0.0.1:${through.port}`, NO_PROXY: "127.0.0.1" }),
      });
    try {
      const pushed = await push("ann:open%20sesame");
      expect([pushed.code, pushed.stderr]).toEqual([0, expect.not.stringContaining("sesame")]);
      expect(through.seen.length).toBeGreaterThan(0);
      const { reference, digest } = JSON.parse(pushed.stdout);
      const name = `docker://${reference.replace("registry.test", registry.host)}`;
      const { stdout } = await run("skopeo", ["inspect", "--tls-verify=false", name]);
      expect(JSON.parse(stdout).Digest).toBe(digest);
      const refused = await push("ann:closed%20sesame", ["--verbose"]);
      expect(refused.code).toBe(3);
      expect(JSON.parse(refused.stdout).error.code).toBe("PROXY_REFUSED");
      expect(refused.stdout + refused.stderr).not.toMatch(/sesame|YW5u/);
    } finally {
      await through.close();
    }
  });

  it("need a password where the registry does, which docker login keeps", async () => {
    const closed = await startDockerRegistry({ dir: world.folder("closed"), auth: { htpasswd: HTPASSWD } });
    try {
      const push = (more: Record<string, string>) =>
        world.run(["build", "app.ts", "--registry", closed.host, "--push", "-o", "json"], {
          cwd: app("built"),
          env: env(more),
        });
      const refused = await push({});
      expect(refused.code).toBe(3);
      expect(JSON.parse(refused.stdout).error.next).toEqual([
        `docker login ${closed.host}   # or: skopeo login, podman login`,
      ]);
      const auth = Buffer.from("ann:open sesame").toString("base64");
      const dir = join(world.home, ".docker");
      await mkdir(dir);
      await writeFile(join(dir, "config.json"), JSON.stringify({ auths: { [closed.host]: { auth } } }));
      const pushed = await push({});
      expect([pushed.code, pushed.stderr]).toEqual([0, expect.not.stringContaining("sesame")]);
      const inspect = ["inspect", "--tls-verify=false", "--creds", "ann:open sesame"];
      const { stdout } = await run("skopeo", [...inspect, `docker://${JSON.parse(pushed.stdout).reference}`]);
      expect(JSON.parse(stdout).Digest).toBe(JSON.parse(pushed.stdout).digest);
    } finally {
      await closed.close();
    }
  });
});
