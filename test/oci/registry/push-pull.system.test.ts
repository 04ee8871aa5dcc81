import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/core/redacted.ts";
import { digestOf, MediaType } from "../../../src/oci/model.ts";
import { fetchImage } from "../../../src/oci/registry/fetch-image.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { failureOf, folder, installed, run } from "../../image/support.ts";
import {
  type DockerRegistry,
  HTPASSWD,
  hasDockerRegistry,
  startDockerRegistry,
} from "../../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { authorityIn } from "./authority.ts";
import { appIn, emptyLayout, environmentIn, pullImage, pushImage, repositoryAt } from "./support.ts";

const CHUNK = 64 * 1024;

describe.skipIf(!hasDockerRegistry())("a registry of CNCF distribution", () => {
  let registry: DockerRegistry;
  let proxy: FaultProxy;
  beforeAll(async () => {
    registry = await startDockerRegistry({ dir: await folder() });
    proxy = await faultProxy(registry.port);
  });
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
  });

  /** What the proxy saw since the last call: `PUT manifests`, `POST uploads` … */
  const seen = () =>
    proxy.seen
      .splice(0)
      .map(
        ({ method, path, status }) =>
          `${method} ${/manifests|uploads|blobs/.exec(path.replace("blobs/uploads", "uploads"))?.[0]} ${status}`,
      );

  it("gets an image, in one request for a small blob and in chunks for a large one, and gives it back", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const repository = repositoryAt(proxy.host);
    const progress: [number, number][] = [];
    seen();
    const sent = await pushImage({
      repository,
      layout,
      image: image.descriptor,
      tag: image.tag,
      chunkSize: CHUNK,
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect(sent.map(({ digest }) => digest).sort()).toEqual(image.blobs.map(({ digest }) => digest).sort());
    const requests = seen();
    const large = image.layers[0]?.size ?? 0;
    expect(requests.filter((each) => each === "PATCH uploads 202")).toHaveLength(Math.ceil(large / CHUNK));
    expect(requests.filter((each) => each === "PUT uploads 201")).toHaveLength(3);
    expect(requests.at(-1)).toBe("PUT manifests 201");
    const bytes = image.size - image.descriptor.size;
    expect(progress.at(-1)).toEqual([bytes, bytes]);
    expect(progress.map(([done]) => done)).toEqual(progress.map(([done]) => done).sort((a, b) => a - b));

    const back = await emptyLayout();
    const pulled = await pullImage(
      repositoryAt(registry.host, { access: "pull" }),
      image.tag,
      back,
      ociTarget(hostTarget()),
    );
    expect(pulled.descriptor).toEqual({ ...image.descriptor, mediaType: MediaType.manifest });
    for (const { digest } of image.blobs) expect(await back.readBlob(digest)).toEqual(await layout.readBlob(digest));
    await repository.close();
  });

  it("gets nothing when nothing has changed, and the app's layer, configuration and manifest when the code has", async () => {
    const layout = await emptyLayout();
    const environment = await environmentIn(layout);
    const repository = repositoryAt(proxy.host);
    const push = async (code: string) => {
      const image = await appIn(layout, environment, code);
      seen();
      const sent = await pushImage({ repository, layout, image: image.descriptor, tag: image.tag, chunkSize: CHUNK });
      return { image, sent, requests: seen() };
    };
    await push("1");
    const again = await push("1");
    expect(again).toMatchObject({ sent: [], requests: ["HEAD manifests 200"] });
    const changed = await push("2");
    const [, app] = changed.image.layers;
    expect(changed.sent.map(({ digest }) => digest)).toContain(app?.digest);
    expect(changed.sent).toHaveLength(3);
    expect(changed.requests.filter((each) => /^(?:PATCH|PUT)/.test(each))).toEqual([
      "PUT uploads 201",
      "PUT uploads 201",
      "PUT manifests 201",
    ]);
    await repository.close();
  });

  it("mounts what another repository of it has, and is sent what that one lacks", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const from = repositoryAt(proxy.host, { repository: "base/one" });
    await pushImage({ repository: from, layout, image: image.descriptor, tag: "1" });
    const to = repositoryAt(proxy.host, { repository: "team/two", mountFrom: ["base/one"] });
    seen();
    const sent = await pushImage({ repository: to, layout, image: image.descriptor, tag: "1", from });
    expect(sent).toEqual([image.descriptor]);
    expect(seen().filter((each) => /PATCH|PUT|POST/.test(each))).toEqual([
      ...Array(3).fill("POST uploads 201"),
      "PUT manifests 201",
    ]);
    const other = await appIn(layout, await environmentIn(layout, 1000), "3");
    const none = repositoryAt(proxy.host, { repository: "base/none" });
    await pushImage({ repository: to, layout, image: other.descriptor, tag: "2", from: none });
    expect((await to.resolve("2"))?.digest).toBe(other.digest);
    await from.close();
    await to.close();
  });

  it("says what it has under a name, and that it has none", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout, 10));
    const repository = repositoryAt(registry.host, { repository: "a/b" });
    expect(await repository.resolve("none")).toBeUndefined();
    await pushImage({ repository, layout, image: image.descriptor, tag: "1" });
    expect(await repository.resolve("1")).toEqual(image.descriptor);
    expect(await repository.resolve(image.digest)).toEqual(image.descriptor);
    const error = await failureOf(fetchImage(repository, "none", layout, ociTarget(hostTarget())));
    expect(error).toMatchObject({ code: "NOT_IN_REGISTRY", exit: 4 });
    expect(error.message).toContain(`${registry.host}/a/b:none`);
    await repository.close();
  });

  it.skipIf(!installed("skopeo") || !installed("umoci"))("is read by skopeo and umoci", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const repository = repositoryAt(registry.host, { repository: "read/back" });
    await pushImage({ repository, layout, image: image.descriptor, tag: "1", chunkSize: CHUNK });
    await repository.close();
    const reference = `docker://${registry.host}/read/back:1`;
    const { stdout } = await run("skopeo", ["inspect", "--tls-verify=false", reference]);
    expect(JSON.parse(stdout)).toMatchObject({ Digest: image.digest, Env: ["GREETING=hello"] });
    const dir = await folder();
    const copy = ["copy", "--insecure-policy", "--src-tls-verify=false", reference, `oci:${dir}/oci:1`];
    await run("skopeo", copy);
    await run("umoci", ["unpack", "--rootless", "--image", `${dir}/oci:1`, `${dir}/bundle`]);
    expect(await readFile(join(dir, "bundle/rootfs/app/main.mjs"), "utf8")).toBe("console.log('hello')");
  });

  it("takes the image for the platform out of an index", async () => {
    const layout = await emptyLayout();
    const environment = await environmentIn(layout, 10);
    const images = [await appIn(layout, environment, "amd64"), await appIn(layout, environment, "arm64")];
    const repository = repositoryAt(registry.host, { repository: "multi" });
    for (const { descriptor, digest } of images)
      await pushImage({ repository, layout, image: descriptor, tag: digest });
    const manifests = images.map(({ descriptor }, index) => ({
      ...descriptor,
      platform: { os: "linux", architecture: ["amd64", "arm64"][index] },
    }));
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.index, manifests }));
    await repository.putManifest("1", index, MediaType.index);
    for (const [at, architecture] of ["amd64", "arm64"].entries()) {
      for (const reference of ["1", digestOf(index)]) {
        const found = await fetchImage(repository, reference, await emptyLayout(), { os: "linux", architecture });
        expect(found.descriptor.digest).toBe(images[at]?.digest);
      }
    }
    const error = await failureOf(fetchImage(repository, "1", layout, { os: "linux", architecture: "s390x" }));
    expect(error).toMatchObject({ code: "NO_SUCH_PLATFORM", hint: "it has linux/amd64, linux/arm64" });
    await repository.close();
  });
});

describe.skipIf(!hasDockerRegistry())("a registry with passwords", () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry({ dir: await folder(), auth: { htpasswd: HTPASSWD } });
  });
  afterAll(() => registry?.close());

  const ann = (password: string) => ({ kind: "password" as const, username: "ann", password: new Redacted(password) });

  it("lets in who has one, asking once", async () => {
    const proxy = await faultProxy(registry.port);
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const repository = repositoryAt(proxy.host, { credentials: ann("open sesame") });
    await pushImage({ repository, layout, image: image.descriptor, tag: "1", chunkSize: CHUNK });
    expect(proxy.seen.filter(({ status }) => status === 401)).toHaveLength(1);
    expect((await repository.resolve("1"))?.digest).toBe(image.digest);
    await repository.close();
    await proxy.close();
  });

  it.each([
    ["a wrong one", ann("closed sesame"), "refuses the stored credentials"],
    ["none", undefined, "no credentials for"],
  ])("refuses %s, and the error says what to do and no password", async (_, credentials, hint) => {
    const repository = repositoryAt(registry.host, credentials ? { credentials } : {});
    const error = await failureOf(repository.resolve("1"));
    expect(error).toMatchObject({ code: "REGISTRY_REFUSED", exit: 3, hint: expect.stringContaining(hint) });
    expect(error.next).toEqual([`docker login ${registry.host}   # or: skopeo login, podman login`]);
    expect(JSON.stringify(error)).not.toContain("sesame");
    await repository.close();
  });
});

describe.skipIf(!hasDockerRegistry() || !installed("openssl"))("a registry with TLS", () => {
  const module = join(import.meta.dirname, "../../../src/oci/registry/repository.ts");
  // A process of its own: Node reads NODE_EXTRA_CA_CERTS when it starts.
  const script = (host: string) => `
    const { Repository } = await import(${JSON.stringify(module)});
    const name = { host: "${host}", plain: false, repository: "a" };
    const { signal } = new AbortController();
    const repository = new Repository({ name, access: "pull", env: { HOME: process.env.HOME }, signal });
    try { console.log("found:", await repository.resolve("none")); }
    catch (error) { console.log(error.code, "|", error.hint); }
    await repository.close();`;

  it("is trusted by an authority of one's own, and refused with the reason without", async () => {
    const dir = await folder();
    await authorityIn(dir, "IP:127.0.0.1");
    const tls = { certificate: join(dir, "server.pem"), key: join(dir, "server.key") };
    const registry = await startDockerRegistry({ dir: await folder(), tls });
    try {
      const ask = async (env: NodeJS.ProcessEnv) =>
        (
          await run(process.execPath, ["--input-type=module", "-e", script(registry.host)], {
            env: { ...process.env, HOME: dir, ...env },
          })
        ).stdout;
      expect(await ask({ NODE_EXTRA_CA_CERTS: join(dir, "ca.pem") })).toBe("found: undefined\n");
      const refused = await ask({});
      expect(refused).toMatch(/^REGISTRY_NOT_TRUSTED \| .*NODE_EXTRA_CA_CERTS/);
      // Spoken to by plain HTTP, as hosts of this machine are when nothing else is said.
      const plain = repositoryAt(registry.host);
      expect((await failureOf(plain.manifest("none"))).hint).toContain(`https://${registry.host}`);
      await plain.close();
    } finally {
      await registry.close();
    }
  });

  it("is not what a registry without TLS is taken for", async () => {
    const registry = await startDockerRegistry({ dir: await folder() });
    const repository = repositoryAt(registry.host, { plain: false });
    const error = await failureOf(repository.resolve("none"));
    expect(error).toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      hint: expect.stringContaining(`http://${registry.host}`),
    });
    await repository.close();
    await registry.close();
  });
});
