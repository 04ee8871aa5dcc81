/** Images for several platforms, in a real registry: what each of them has, and what they share. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUNDLE_FILE } from "../../src/bundle/esbuild.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { EPOCH } from "../../src/oci/model.ts";
import { hostTarget, ociTarget, targetName } from "../../src/packages/npm-target.ts";
import { installed, run } from "../image/support.ts";
import { pushImage, repositoryAt } from "../oci/registry/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { get, World } from "./harness.ts";

interface Image {
  reference: string;
  tag: string;
  digest: string;
  layers: { digest: string; role?: string }[];
  /** Absent at the index. */
  referrers?: { digest: string }[];
}
type Built = Image & { pushed: boolean; platforms?: (Image & { platform: string })[] };

const BOTH = ["linux/amd64", "linux/arm64"];

describe.skipIf(!hasDockerRegistry() || !installed("skopeo") || !installed("umoci"))(
  "images for several platforms",
  () => {
    let world: World;
    let registry: DockerRegistry;
    let proxy: FaultProxy;
    let npm: TestRegistry;
    beforeAll(async () => {
      world = await World.create();
      registry = await startDockerRegistry({ dir: world.folder("registry") });
      proxy = await faultProxy(registry.port);
      const native = ["x64", "arm64"].map((cpu) => ({
        name: `native-${cpu}`,
        version: "1.0.0",
        manifest: { os: ["linux"], cpu: [cpu] },
        files: { "index.js": `module.exports = "for ${cpu}";` },
      }));
      const optional = Object.fromEntries(native.map(({ name, version }) => [name, version]));
      npm = await startRegistry([
        ...native,
        {
          name: "native",
          version: "1.0.0",
          manifest: { optionalDependencies: optional },
          files: { "index.js": 'module.exports = require("native-" + process.arch);' },
        },
        { name: "scripted", version: "1.0.0", manifest: { scripts: { install: "node --version" } } },
      ]);
    });
    afterAll(async () => {
      await world?.close();
      await npm?.close();
      await proxy?.close();
      await registry?.close();
    });

    const options = (
      text: string,
      platform: unknown,
      more: Record<string, string> = {},
      packages = ["native@1.0.0"],
    ) => ({
      cwd: world.folder(text, {
        "app.ts": `import { App, ImageSpec } from "appctl";
        import native from "native";
        export default new App({ name: "web", requiresAuth: false,
          containerImage: new ImageSpec({ packages: ${JSON.stringify(packages)}, platform: ${JSON.stringify(platform)} }),
          frameworkApp: { fetch: () => new Response("${text} " + native) } });`,
      }),
      env: { npm_config_registry: npm.url, APPCTL_BASE_IMAGE: "scratch", APPCTL_REGISTRY: proxy.host, ...more },
    });
    const push = (text: string, platform: unknown) =>
      world.json<Built>(["build", "app.ts", "--push"], options(text, platform));
    const inspect = async (reference: string) =>
      JSON.parse((await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${reference}`])).stdout);
    const sent = () => proxy.seen.splice(0).filter(({ method, status }) => /PATCH|PUT/.test(method) && status > 0);

    it("get an index, an own packages layer each, and one app layer for all", async () => {
      const built = await push("both", BOTH);
      const index = await inspect(built.reference);
      expect(index).toMatchObject({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" });
      expect(index.manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
        { os: "linux", architecture: "amd64" },
        { os: "linux", architecture: "arm64" },
      ]);
      expect(built.platforms?.map(({ platform }) => platform)).toEqual(BOTH);
      expect(index.manifests.map(({ digest }: { digest: string }) => digest)).toEqual(
        built.platforms?.map(({ digest }) => digest),
      );
      const layers = (role: string) =>
        built.platforms?.map((image) => image.layers.find((layer) => layer.role === role)?.digest) ?? [];
      expect(new Set(layers("packages")).size).toBe(2);
      expect(new Set(layers("app")).size).toBe(1);

      for (const [name, cpu] of [
        ["amd64", "x64"],
        ["arm64", "arm64"],
      ] as const) {
        const dir = world.folder(`as-${name}`);
        const from = ["--override-arch", name, "copy", "--insecure-policy", "--src-tls-verify=false"];
        await run("skopeo", [...from, `docker://${built.reference}`, `oci:${dir}/oci:1`]);
        await run("umoci", ["unpack", "--rootless", "--image", `${dir}/oci:1`, `${dir}/bundle`]);
        const root = join(dir, "bundle/rootfs/app");
        expect(await readFile(join(root, BUNDLE_FILE), "utf8")).toContain("both");
        expect(await readFile(join(root, `node_modules/native-${cpu}/index.js`), "utf8")).toContain(`for ${cpu}`);
        const other = cpu === "x64" ? "arm64" : "x64";
        await expect(readFile(join(root, `node_modules/native-${other}/index.js`))).rejects.toThrow("ENOENT");
      }
    });

    it("are found again, and what one of them has built, others need not", async () => {
      await push("again", ["linux/arm64"]);
      sent();
      const both = await push("again", BOTH);
      // The app layer, which has the file's own text; each platform's configuration and manifest; the index. No packages.
      const bills = both.platforms?.flatMap(({ digest, referrers }) => [
        ...(referrers ?? []).map((bill) => bill.digest),
        digest.replace(":", "-"),
      ]);
      const put = sent().map(({ path }) => path);
      const ofBills = put.filter((path) => bills?.some((name) => path.endsWith(`/manifests/${name}`)));
      const ofImages = put.filter((path) => !ofBills.includes(path));
      expect(ofImages.map((path) => path.includes("/manifests/"))).toEqual([false, false, true, false, true, true]);
      // A bill for each platform, about its own image, and the list with it: their content is there from before.
      expect([ofBills.length, new Set(ofBills).size]).toEqual([4, 4]);
      expect(await push("again", BOTH)).toEqual(both);
      expect(sent()).toEqual([]);
    });

    it("are shown by a build that pushes nothing, and by their names in text", async () => {
      const { cwd, env } = options("here", BOTH, { APPCTL_REGISTRY: "" });
      const built = await world.json<Built>(["build", "app.ts"], { cwd, env });
      expect(built.platforms?.map(({ platform }) => platform)).toEqual(BOTH);
      expect(sent()).toEqual([]);
      const text = await world.ok(["build", "app.ts"], { cwd, env });
      expect(text.trimEnd().split("\n").at(-1)).toBe(`Built ${built.reference}@${built.digest} (${BOTH.join(", ")})`);
    });

    it("go to the registry from a deploy, and the platform runs its own", async () => {
      const deployed = await world.json<{ image: string; digest: string; endpoint: string; pushed: object }>(
        ["deploy", "apps", "app.ts"],
        options("live", BOTH),
      );
      expect((await get(`${deployed.endpoint}/`)).body).toBe(`live for ${process.arch}`);
      const index = await push("live", BOTH);
      expect(deployed.pushed).toEqual({ reference: index.reference, digest: index.digest });
      const own = index.platforms?.find(({ platform }) => platform === targetName(hostTarget()));
      expect([deployed.image, deployed.digest]).toEqual([own?.reference, own?.digest]);
      // One that is meant for other machines alone runs here all the same: as a process, which needs none of that.
      const elsewhere = targetName(hostTarget()) === "linux/s390x" ? "linux/amd64" : "linux/s390x";
      const far = await world.json<{ endpoint: string }>(["deploy", "apps", "app.ts"], options("far", elsewhere));
      expect((await get(`${far.endpoint}/`)).body).toBe(`far for ${process.arch}`);
    });

    it("are not pushed at all when the base does not exist for one of them", async () => {
      const layout = new OciLayout(world.folder("base"));
      const config = {
        created: EPOCH,
        ...ociTarget(hostTarget()),
        config: { Env: [], WorkingDir: "/" },
        rootfs: { type: "layers" as const, diff_ids: [] },
        history: [],
      };
      const { descriptor } = await writeImage(layout, config, []);
      const repository = repositoryAt(registry.host, { repository: "bases/one" });
      await pushImage({ repository, layout, image: descriptor, tag: "1" });
      await repository.close();
      const { cwd, env } = options("halfway", BOTH, { APPCTL_BASE_IMAGE: `${registry.host}/bases/one:1` });
      sent();
      const { code, stdout } = await world.run(["build", "app.ts", "--push", "-o", "json"], { cwd, env });
      expect([code, JSON.parse(stdout).error.code]).toEqual([2, "NO_SUCH_PLATFORM"]);
      expect(sent()).toEqual([]);
    });

    it("do not run install scripts for other machines", async () => {
      const elsewhere = targetName(hostTarget()) === "linux/s390x" ? "linux/amd64" : "linux/s390x";
      const { cwd, env } = options("scripts", elsewhere, {}, ["native@1.0.0", "scripted@1.0.0"]);
      const { code, stdout } = await world.run(["build", "app.ts", "--allow-scripts", "-o", "json"], { cwd, env });
      const { error } = JSON.parse(stdout);
      expect([code, error.code]).toEqual([2, "SCRIPTS_ELSEWHERE"]);
      expect(error.message).toMatch(new RegExp(`run for ${elsewhere} on this machine.*: scripted$`));
    });
  },
);
