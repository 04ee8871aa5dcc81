import { Buffer } from "node:buffer";
import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { failureOf, folder } from "../../image/support.ts";
import { cuttingProxy } from "../../support/cutting-proxy.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { type Fault, type FaultProxy, faultProxy, first } from "../../support/fault-proxy.ts";
import { appIn, emptyLayout, environmentIn, pauses, pullImage, pushImage, repositoryAt } from "./support.ts";

const CHUNK = 64 * 1024;

describe.skipIf(!hasDockerRegistry())("between us and a registry of CNCF distribution", () => {
  let registry: DockerRegistry;
  let proxy: FaultProxy;
  let data: string;
  beforeAll(async () => {
    data = await folder();
    registry = await startDockerRegistry({ dir: data });
    proxy = await faultProxy(registry.port);
  });
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
  });
  afterEach(() => {
    proxy.fault = () => undefined;
  });

  async function pushed(port = proxy.port, size = 200_000) {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout, size));
    const { asked, wait } = pauses();
    const repository = repositoryAt(`127.0.0.1:${port}`, { wait });
    try {
      await pushImage({ repository, layout, image: image.descriptor, tag: image.tag, chunkSize: CHUNK });
    } finally {
      await repository.close();
    }
    return { layout, image, waited: asked };
  }

  /** Every blob that the registry keeps is what its name says. */
  async function nothingDamaged(): Promise<number> {
    const root = join(data, "data/docker/registry/v2/blobs/sha256");
    const files = (await readdir(root, { recursive: true, encoding: "utf8" })).filter((file) => file.endsWith("/data"));
    for (const file of files) {
      expect(digestOf(await readFile(join(root, file)))).toBe(`sha256:${file.split("/").at(-2)}`);
    }
    return files.length;
  }

  async function isThere({ image }: Awaited<ReturnType<typeof pushed>>) {
    const repository = repositoryAt(registry.host, { access: "pull" });
    const back = await emptyLayout();
    expect((await pullImage(repository, image.tag, back, ociTarget(hostTarget()))).descriptor.digest).toBe(
      image.digest,
    );
    await repository.close();
    expect(await nothingDamaged()).toBeGreaterThan(0);
  }

  const UPLOAD = /blobs\/uploads\//;
  it.each<[string, FaultProxy["fault"]]>([
    ["a chunk that breaks off in its middle", first(1, "PATCH", UPLOAD, { cutRequest: 30_000 })],
    ["a chunk that breaks off before its first byte", first(1, "PATCH", UPLOAD, { cutRequest: 0 })],
    ["a chunk whose answer is lost", first(1, "PATCH", UPLOAD, { cutAnswer: true })],
    ["a small blob that breaks off", first(2, "PUT", UPLOAD, { cutRequest: 20 })],
    ["an end of an upload whose answer is lost", first(3, "PUT", UPLOAD, { cutAnswer: true })],
    ["a begin of an upload whose answer is lost", first(2, "POST", UPLOAD, { cutAnswer: true })],
    ["a manifest whose answer is lost", first(1, "PUT", /manifests/, { cutAnswer: true })],
    ["a question whose answer is lost", first(3, "HEAD", /blobs|manifests/, { cutAnswer: true })],
    ["503 to chunks", first(3, "PATCH", UPLOAD, { answer: { status: 503 } })],
    ["500 to an end", first(2, "PUT", UPLOAD, { answer: { status: 500 } })],
    ["429 to everything for a while", first(4, "HEAD", /./, { answer: { status: 429 } })],
    ["a chunk that is changed on its way", first(1, "PATCH", UPLOAD, { damageRequest: true })],
    ["a small blob that is changed on its way", first(1, "PUT", UPLOAD, { damageRequest: true })],
  ])("a push gets over %s", async (_, fault) => {
    proxy.fault = fault;
    await isThere(await pushed());
  });

  it("a push gets over connections that are cut at many places, whichever way the bytes go", async () => {
    for (const side of ["server", "client"] as const) {
      for (const offset of [0, 1, 20, 150, 300, 500, 1000, 5000, 60_000, 66_000, 70_000, 131_000, 200_000]) {
        const cutting = await cuttingProxy(registry.port, [offset, offset + 77], side);
        await isThere(await pushed(cutting.port));
        cutting.close();
      }
    }
  }, 300_000);

  it("waits as long as Retry-After says", async () => {
    const answer = { status: 429, headers: { "retry-after": "17" } };
    proxy.fault = first(1, "PATCH", UPLOAD, { answer });
    const { waited } = await pushed();
    expect(waited).toEqual([17_000]);
  });

  it("does not wait for hours", async () => {
    proxy.fault = () => ({ answer: { status: 429, headers: { "retry-after": "7200" } } });
    const error = await failureOf(pushed());
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE", exit: 6 });
    expect(error.details).toEqual(["Retry-After: 7200"]);
    expect(error.hint).toMatch(/^the registry asks for a pause of more than 120 seconds: try again later/);
  });

  it.each<[string, FaultProxy["fault"], object]>([
    [
      "503 without end",
      () => ({ answer: { status: 503 } }),
      { code: "REGISTRY_UNAVAILABLE", exit: 6, hint: expect.stringContaining("appctl tried 6 times; try again later") },
    ],
    [
      "503 to every chunk",
      ({ method }) => (method === "PATCH" ? { answer: { status: 503 } } : undefined),
      { code: "REGISTRY_UNAVAILABLE", exit: 6, hint: expect.stringContaining("appctl tried 6 times; try again later") },
    ],
    [
      "503 and, at last, a long Retry-After",
      (() => {
        let asked = 0;
        return (): Fault => ({
          answer: { status: 503, ...(++asked < 3 ? {} : { headers: { "retry-after": "121" } }) },
        });
      })(),
      {
        code: "REGISTRY_UNAVAILABLE",
        hint: expect.stringMatching(/^appctl tried 3 times; the registry asks for a pause of more/),
      },
    ],
    [
      "501",
      () => ({ answer: { status: 501 } }),
      { code: "REGISTRY_ERROR", exit: 1, hint: expect.stringContaining("so appctl did not try again") },
    ],
    ["connections that break without end", () => ({ cutAnswer: true }), { code: "REGISTRY_UNREACHABLE", exit: 6 }],
    [
      "content that is changed each time",
      ({ method }) => (method === "PUT" ? { damageRequest: true } : undefined),
      { code: "REGISTRY_ERROR", message: expect.stringContaining("DIGEST_INVALID") },
    ],
    [
      "a registry that is full",
      ({ method }) =>
        method === "POST"
          ? { answer: { status: 403, body: '{"errors":[{"code":"DENIED","message":"quota exceeded"}]}' } }
          : undefined,
      { code: "REGISTRY_REFUSED", exit: 3, message: expect.stringContaining("403") },
    ],
  ])("a push ends with the cause at %s", async (_, fault, expected) => {
    proxy.fault = fault;
    const error = await failureOf(pushed());
    expect(error).toMatchObject(expected);
    expect(error.message).toContain(proxy.host);
    await nothingDamaged();
  });

  it("a registry that cannot be asked is an error with the reason, and never has or lacks an image", async () => {
    const gone = await startDockerRegistry({ dir: await folder() });
    await gone.close();
    const repository = repositoryAt(gone.host, pauses());
    const error = await failureOf(repository.resolve("1"));
    expect(error).toMatchObject({ code: "REGISTRY_UNREACHABLE", message: expect.stringContaining("ECONNREFUSED") });
    await repository.close();
  });

  it("content that is damaged on this machine is told as that, and not sent on", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout), "never sent");
    const [{ digest, size } = { digest: "", size: 0 }] = image.layers;
    await writeFile(layout.blobPath(digest), Buffer.alloc(size));
    const repository = repositoryAt(registry.host, pauses());
    const push = pushImage({ repository, layout, image: image.descriptor, tag: image.tag, chunkSize: CHUNK });
    expect((await failureOf(push)).code).toBe("BLOB_DAMAGED");
    expect(await repository.resolve(image.tag)).toBeUndefined();
    await repository.close();
    await nothingDamaged();
  });

  it.each<[string, (file: string) => Promise<void>, object]>([
    ["is gone", (file) => rm(file), { code: "BLOB_NOT_FOUND", exit: 4 }],
    ["is shorter than it should be", (file) => truncate(file, 100), { code: "BLOB_DAMAGED", exit: 1 }],
    // Who runs as root may read every file, so a folder stands for one that cannot be read.
    [
      "cannot be read",
      (file) => rm(file).then(() => mkdir(file)),
      { code: "BLOB_UNREADABLE", exit: 1, message: expect.stringContaining("EISDIR") },
    ],
  ])("a layer that %s on this machine is not told as a registry that does not answer", async (_, spoil, expected) => {
    for (const chunkSize of [CHUNK, undefined]) {
      const layout = await emptyLayout();
      const image = await appIn(layout, await environmentIn(layout), "not sent either");
      const { digest } = image.layers[0] ?? { digest: "" };
      await spoil(layout.blobPath(digest));
      const repository = repositoryAt(registry.host, pauses());
      const push = pushImage({ repository, layout, image: image.descriptor, tag: image.tag, chunkSize });
      const error = await failureOf(push);
      expect(error).toMatchObject(expected);
      expect(error.message).toContain(digest);
      await repository.close();
    }
    await nothingDamaged();
  });

  it("a slow registry is waited for, and an end from outside ends the push at once", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const stop = new AbortController();
    const slow = Promise.withResolvers<void>();
    proxy.fault = ({ method }) => {
      if (method !== "PATCH") return undefined;
      setImmediate(() => stop.abort(new Error("stopped by hand")));
      return { until: slow.promise };
    };
    const repository = repositoryAt(proxy.host, { signal: stop.signal });
    const push = pushImage({ repository, layout, image: image.descriptor, tag: "slow", chunkSize: CHUNK });
    await expect(push).rejects.toThrow("stopped by hand");
    slow.resolve();
    await repository.close();
  });

  describe("a pull", () => {
    let image: Awaited<ReturnType<typeof pushed>>["image"];
    beforeAll(async () => {
      ({ image } = await pushed());
    });

    async function pull() {
      const layout = await emptyLayout();
      const repository = repositoryAt(proxy.host, { access: "pull", ...pauses() });
      try {
        await pullImage(repository, image.tag, layout, ociTarget(hostTarget()));
      } finally {
        await repository.close();
      }
      return layout;
    }

    it.each<[string, FaultProxy["fault"]]>([
      ["a blob that breaks off", first(3, "GET", /blobs/, { cutBody: 50 })],
      ["a manifest that breaks off", first(2, "GET", /manifests/, { cutBody: 50 })],
      ["503", first(4, "GET", /./, { answer: { status: 503 } })],
      ["answers that are lost", first(4, "GET", /./, { cutAnswer: true })],
    ])("gets over %s", async (_, fault) => {
      proxy.fault = fault;
      const layout = await pull();
      for (const { digest } of image.blobs) expect(digestOf(await layout.readBlob(digest))).toBe(digest);
    });

    it("takes a blob up where it broke", async () => {
      proxy.seen.splice(0);
      proxy.fault = first(1, "GET", new RegExp(image.layers[0]?.digest ?? ""), { cutBody: 100_000 });
      await pull();
      const ranges = proxy.seen.flatMap(({ headers: { range } }) => range ?? []);
      expect(ranges).toHaveLength(1);
      expect(Number(/^bytes=(\d+)-/.exec(ranges[0] ?? "")?.[1])).toBeGreaterThan(0);
    });

    it.each<[string, FaultProxy["fault"]]>([
      ["a blob with other content", ({ path }) => (/blobs/.test(path) ? { damageBody: true } : undefined)],
      ["a blob that ends early gracefully", ({ path }) => (/blobs/.test(path) ? { shorten: 60 } : undefined)],
      ["a manifest with other content", ({ path }) => (/manifests/.test(path) ? { damageBody: true } : undefined)],
    ])("never accepts %s", async (_, fault) => {
      proxy.fault = fault;
      const layout = await emptyLayout();
      const repository = repositoryAt(proxy.host, { access: "pull", ...pauses() });
      const error = await failureOf(pullImage(repository, image.tag, layout, ociTarget(hostTarget())));
      expect(error).toMatchObject({ code: "REGISTRY_CONTENT_DAMAGED", exit: 6 });
      expect(await layout.missing(image.layers.map(({ digest }) => digest))).toHaveLength(2);
      await repository.close();
    });
  });
});
