/**
 * What CNCF distribution 2.8 does with an upload that breaks, and what we make of it. It keeps an upload only while that stands
 * where its own last answer said: of a chunk that broke off it keeps nothing, and gives the whole upload up.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { uploadBlob } from "../../../src/oci/registry/upload-blob.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { failureOf, folder } from "../../image/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { type Fault, type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { appIn, emptyLayout, environmentIn, pauses, pullImage, pushImage, repositoryAt } from "./support.ts";

describe.skipIf(!hasDockerRegistry())("with CNCF distribution 2.8", () => {
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
  afterEach(() => {
    proxy.fault = () => undefined;
    proxy.seen.splice(0);
  });

  /** Uploads three chunks of 100,000 bytes; gives the requests, and what the registry has then. */
  async function upload(fault: FaultProxy["fault"]) {
    const content = randomBytes(300_000);
    const blob = { digest: digestOf(content), size: content.length };
    const open = (start: number, end: number) => Readable.from([content.subarray(start, end)], { objectMode: false });
    const { asked, wait } = pauses();
    proxy.fault = fault;
    const repository = repositoryAt(proxy.host, { wait });
    try {
      await uploadBlob(repository, { ...blob, open }, { chunkSize: 100_000 });
    } finally {
      await repository.close();
    }
    const requests = proxy.seen.splice(0).map(({ method, headers, status }) => {
      const range = headers["content-range"];
      return `${method}${range === undefined ? "" : ` ${range}`} ${status === 0 ? "broken" : status}`;
    });
    const direct = repositoryAt(registry.host, { access: "pull" });
    const chunks: Buffer[] = [];
    for await (const chunk of direct.blob(blob)) chunks.push(chunk);
    await direct.close();
    expect(digestOf(Buffer.concat(chunks))).toBe(blob.digest);
    return { requests, waited: asked };
  }

  /** Makes a fault of the chunk with that number, from 1. */
  function ofChunk(number: number, fault: Fault): FaultProxy["fault"] {
    let chunks = 0;
    return ({ method }) => (method === "PATCH" && ++chunks === number ? fault : undefined);
  }

  const first = "PATCH 0-99999 202";
  const second = "PATCH 100000-199999 202";
  const third = "PATCH 200000-299999 202";
  const rest = [second, third, "PUT 201"];
  const anew = ["HEAD 404", "GET 404", "POST 202", first, ...rest];
  const goesOn = ["HEAD 404", "GET 204", ...rest];
  it.each<[string, FaultProxy["fault"], string[]]>([
    [
      "begins anew when the first chunk breaks off in its middle",
      ofChunk(1, { cutRequest: 60_000 }),
      ["POST 202", "PATCH 0-99999 broken", ...anew],
    ],
    [
      "begins anew when a later chunk breaks off in its middle",
      ofChunk(2, { cutRequest: 60_000 }),
      ["POST 202", first, "PATCH 100000-199999 broken", ...anew],
    ],
    [
      "begins anew when the answer to a chunk is lost",
      ofChunk(2, { cutAnswer: true }),
      ["POST 202", first, "PATCH 100000-199999 broken", ...anew],
    ],
    [
      "goes on where it stood when a chunk breaks off before its first byte",
      ofChunk(2, { cutRequest: 0 }),
      ["POST 202", first, "PATCH 100000-199999 broken", ...goesOn],
    ],
    [
      "goes on where it stood after a 503",
      ofChunk(2, { answer: { status: 503 } }),
      ["POST 202", first, "PATCH 100000-199999 503", ...goesOn],
    ],
    [
      "goes on where it stood after a 429, when the time that it asks for is over",
      ofChunk(2, { answer: { status: 429, headers: { "retry-after": "17" } } }),
      ["POST 202", first, "PATCH 100000-199999 429", ...goesOn],
    ],
  ])("an upload %s", async (_, fault, expected) => {
    const { requests, waited } = await upload(fault);
    expect(requests).toEqual(expected);
    expect(waited).toHaveLength(1);
    if (requests.some((each) => each.endsWith("429"))) expect(waited).toEqual([17_000]);
  });

  it("an upload of which every chunk breaks off ends with the cause, after as many tries as there are", async () => {
    const error = await failureOf(upload(({ method }) => (method === "PATCH" ? { cutRequest: 60_000 } : undefined)));
    expect(error).toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      exit: 6,
      message: expect.stringContaining(proxy.host),
    });
    expect(proxy.seen.filter(({ method }) => method === "PATCH")).toHaveLength(6);
  });

  it("an upload of which each try comes further than the last does not count as stuck", async () => {
    let chunks = 0;
    // Breaks off in the second chunk, begins anew, breaks off in the third, begins anew.
    const { requests } = await upload(({ method }) =>
      method === "PATCH" && [2, 5].includes(++chunks) ? { cutRequest: 60_000 } : undefined,
    );
    expect(requests.filter((each) => each.startsWith("POST"))).toHaveLength(3);
  });

  it("a slow registry is waited for, whatever it is asked", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    let held = 0;
    // Every answer comes late; how late makes no difference to what is tested.
    proxy.fault = () => {
      held++;
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, 20);
      return { until: promise };
    };
    const repository = repositoryAt(proxy.host, pauses());
    await pushImage({ repository, layout, image: image.descriptor, tag: "slow", chunkSize: 100_000 });
    const pulled = await pullImage(repository, "slow", await emptyLayout(), ociTarget(hostTarget()));
    await repository.close();
    expect(pulled.descriptor.digest).toBe(image.digest);
    expect(held).toBe(proxy.seen.length);
    expect(proxy.seen.filter(({ status }) => status === 0 || status >= 500)).toEqual([]);
  });

  describe("a pull", () => {
    let image: Awaited<ReturnType<typeof appIn>>;
    beforeAll(async () => {
      const layout = await emptyLayout();
      image = await appIn(layout, await environmentIn(layout));
      const repository = repositoryAt(registry.host);
      await pushImage({ repository, layout, image: image.descriptor, tag: "pulled" });
      await repository.close();
    });

    async function pull() {
      const layout = await emptyLayout();
      const { asked, wait } = pauses();
      const repository = repositoryAt(proxy.host, { access: "pull", wait });
      try {
        await pullImage(repository, "pulled", layout, ociTarget(hostTarget()));
      } finally {
        await repository.close();
      }
      return { layout, waited: asked };
    }

    it.each(["manifests", "blobs"])("waits as long as Retry-After says, for %s too", async (part) => {
      let times = 1;
      proxy.fault = ({ path }) =>
        path.includes(part) && times-- > 0 ? { answer: { status: 429, headers: { "retry-after": "17" } } } : undefined;
      const { layout, waited } = await pull();
      expect(waited).toEqual([17_000]);
      for (const { digest } of image.blobs) expect(digestOf(await layout.readBlob(digest))).toBe(digest);
    });

    it("that is taken up where it broke, and gets other content then, keeps nothing of it", async () => {
      const large = image.layers[0]?.digest ?? "";
      let tries = 0;
      proxy.fault = ({ path }) =>
        path.includes(large) ? (tries++ === 0 ? { cutBody: 100_000 } : { damageBody: true }) : undefined;
      const error = await failureOf(pull());
      expect(error).toMatchObject({ code: "REGISTRY_CONTENT_DAMAGED", exit: 6 });
      expect(tries).toBe(2);
    });
  });
});
