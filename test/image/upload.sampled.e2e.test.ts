/** Images on their way to a real platform, over connections that fail. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { HttpOptions } from "../../src/client/platform-http.ts";
import { Redacted } from "../../src/core/redacted.ts";
import type { AppImage } from "../../src/image/app-image.ts";
import { copyImage } from "../../src/image/copy-image.ts";
import type { EnvironmentImage } from "../../src/image/environment-image.ts";
import type { ImageSource } from "../../src/image/image-store.ts";
import { platformStore } from "../../src/image/platform-store.ts";
import type { OciLayout } from "../../src/oci/layout.ts";
import type { Descriptor } from "../../src/oci/model.ts";
import { appIn, emptyLayout, environmentIn, pauses } from "../oci/registry/support.ts";
import { isLong } from "../support/amount.ts";
import { cuttingProxy } from "../support/cutting-proxy.ts";
import { type Fault, type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { startPlatform, type TestPlatform } from "../support/in-process.ts";
import { resolveImage } from "../support/resolve-image.ts";
import { failureOf } from "./support.ts";

let test: TestPlatform;
let proxy: FaultProxy;
let large: Sent;
beforeAll(async () => {
  test = await startPlatform();
  proxy = await faultProxy(test.platform.port);
  large = await newImage(17 * 1024 ** 2);
});
afterAll(async () => {
  await proxy?.close();
  await test?.close();
});
afterEach(() => {
  proxy.fault = () => undefined;
  proxy.seen.splice(0);
});

const keyOf = ({ dir }: TestPlatform) => new Redacted(readFileSync(join(dir, "state", "admin.key"), "utf8").trim());
const clientAt = (port: number, more: Partial<HttpOptions> = {}) =>
  new Client({ endpoint: `http://127.0.0.1:${port}`, apiKey: keyOf(test), retries: 0, ...more });

interface Sent {
  layout: OciLayout;
  image: AppImage;
  environment: EnvironmentImage;
}

/** An image of several chunks, of which the platform has nothing. */
function newLarge(): Sent {
  const { images } = test.platform.services;
  for (const { digest } of [...large.image.blobs, ...environmentBlobs(large)]) {
    rmSync(images.blobPath(digest), { force: true });
  }
  return large;
}
const environmentBlobs = ({ environment }: Sent) => [environment.manifest.config, environment.descriptor];
let count = 0;

async function newImage(size: number): Promise<Sent> {
  const layout = await emptyLayout();
  const environment = await environmentIn(layout, size);
  const image = await appIn(layout, environment, `console.log(${count++})`);
  return { layout, image, environment };
}

async function send({ layout, image, environment }: Sent, client = clientAt(proxy.port)) {
  const { asked, wait } = pauses();
  const progress: { done: number; total: number }[] = [];
  const missing: string[] = [];
  const nothing: ImageSource = {
    open(_, { digest }) {
      if (!existsSync(layout.blobPath(digest))) missing.push(digest);
      return undefined;
    },
  };
  const { signal } = new AbortController();
  const store = platformStore(client, { address: "", signal, wait });
  const onProgress = (done: number, total: number) => progress.push({ done, total });
  try {
    for (const each of [environment, image])
      await copyImage(each, { layout, others: [nothing] }, store, { onProgress });
  } finally {
    await client.close();
  }
  return { waited: asked, progress, missing };
}

/** The platform has both images, whole, under their names. */
async function isThere({ image, environment }: Sent): Promise<void> {
  expect((await resolveImage(test.client, image.reference))?.digest).toBe(image.digest);
  expect((await resolveImage(test.client, environment.reference))?.digest).toBe(environment.descriptor.digest);
}

const UPLOAD = /blobs\/uploads\//;
/** Bytes of content in requests that the platform has answered well. */
const taken = () =>
  proxy.seen
    .filter(({ path, status }) => UPLOAD.test(path) && status >= 200 && status < 300)
    .reduce((sum, { headers }) => sum + Number(headers["content-length"] ?? 0), 0);
/** Bytes of all blobs of both images, without the manifests. */
function contentOf({ image, environment }: Sent): number {
  const blobs = [...image.blobs, environment.manifest.config].filter(({ digest }) => digest !== image.digest);
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

/** Makes a fault of the first `times` requests that fit. */
function first(times: number, method: string, path: RegExp, fault: Fault): FaultProxy["fault"] {
  let left = times;
  return (request) => (request.method === method && path.test(request.path) && left-- > 0 ? fault : undefined);
}

describe("an image on its way to a platform", () => {
  it("is sent once, with its progress in bytes, and not again", async () => {
    const sent = newLarge();
    const { progress, missing } = await send(sent);
    await isThere(sent);
    expect(taken()).toBe(contentOf(sent));
    expect(proxy.seen.filter(({ method }) => method === "PATCH").length).toBeGreaterThan(1);
    const done = progress.map((step) => step.done);
    expect(new Set(done).size).toBeGreaterThan(3);
    expect(progress.some((step) => step.done === step.total && step.total > 17_000_000)).toBe(true);
    proxy.seen.splice(0);
    expect((await send(sent)).progress).toEqual([]);
    // The two names are asked for, and together with each what it has.
    expect(proxy.seen.filter(({ path }) => path.includes("/manifests/"))).toHaveLength(2);
    expect(new Set(proxy.seen.map(({ method }) => method))).toEqual(new Set(["HEAD"]));
    expect(missing).toEqual([]);
  });

  it.each<[string, FaultProxy["fault"]]>([
    ["a chunk that breaks off in its middle", first(1, "PATCH", UPLOAD, { cutRequest: 3_000_000 })],
    ["chunks that break off again and again", first(4, "PATCH", UPLOAD, { cutRequest: 1_000_000 })],
    ["a chunk that breaks off before its first byte", first(1, "PATCH", UPLOAD, { cutRequest: 0 })],
    ["a chunk whose answer is lost", first(1, "PATCH", UPLOAD, { cutAnswer: true })],
    ["the end of an upload whose answer is lost", first(1, "PUT", UPLOAD, { cutAnswer: true })],
    ["a small blob that breaks off", first(2, "POST", /digest=/, { cutRequest: 20 })],
    ["small blobs whose answers are lost", first(3, "POST", /digest=/, { cutAnswer: true })],
    ["a manifest whose answer is lost", first(2, "PUT", /manifests/, { cutAnswer: true })],
    ["questions whose answers are lost", first(4, "HEAD", /./, { cutAnswer: true })],
    ["503 to chunks", first(3, "PATCH", UPLOAD, { answer: { status: 503 } })],
    ["429 to everything for a while", first(4, "HEAD", /./, { answer: { status: 429 } })],
    ["a small blob that is changed on its way", first(1, "POST", /digest=/, { damageRequest: true })],
  ])("gets over %s, and no content that is there is sent again", async (_, fault) => {
    const sent = newLarge();
    proxy.fault = fault;
    await send(sent);
    await isThere(sent);
    expect(taken()).toBeLessThanOrEqual(contentOf(sent));
  });

  it("goes on with the very byte at which a chunk broke off", async () => {
    const sent = newLarge();
    proxy.fault = first(1, "PATCH", UPLOAD, { cutRequest: 3_000_000 });
    await send(sent);
    const starts = proxy.seen
      .filter(({ method, status }) => method === "PATCH" && status === 202)
      .map(({ headers }) => Number(headers["content-range"]?.split("-")[0]));
    expect(starts[0]).toBeGreaterThan(0);
    expect(starts[0]).toBeLessThanOrEqual(3_000_000);
    expect(taken()).toBe(contentOf(sent) - (starts[0] ?? 0));
  });

  it("gets over a cut at every few bytes of what is sent and of what is answered", async () => {
    let cuts = 0;
    for (const side of ["server", "client"] as const) {
      for (let offset = 0; offset < 2800; offset += isLong ? 23 : 401) {
        const cutting = await cuttingProxy(test.platform.port, [offset, offset + 41], side);
        const sent = await newImage(500);
        await send(sent, clientAt(cutting.port));
        await isThere(sent);
        cuts += cutting.cuts;
        cutting.close();
      }
    }
    expect(cuts).toBeGreaterThan(isLong ? 100 : 5);
  });

  it("waits as long as Retry-After says, and for a slow platform", async () => {
    const sent = await newImage(500);
    let answered = 0;
    const slow = () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, 20); // how long makes no difference to what is tested
      return promise;
    };
    proxy.fault = () =>
      ++answered === 2 ? { answer: { status: 503, headers: { "retry-after": "17" } } } : { until: slow() };
    expect((await send(sent)).waited).toEqual([17_000]);
    await isThere(sent);
  });

  it("goes on at the platform that takes the place of one that has ended", async () => {
    const sent = newLarge();
    const gone = await faultProxy(test.platform.port);
    gone.fault = ({ method }) => {
      if (method === "PATCH") void gone.close();
      return undefined;
    };
    let asked = 0;
    const onUnreachable = async () => {
      asked++;
      return { endpoint: `http://${proxy.host}`, apiKey: keyOf(test) };
    };
    await send(sent, clientAt(gone.port, { onUnreachable }));
    expect(asked).toBeGreaterThan(0);
    await isThere(sent);
  });

  it("brings only what both this machine and the platform lack", async () => {
    const sent = await newImage(500);
    await send(sent);
    const again = await appIn(sent.layout, sent.environment, "another");
    for (const { digest } of sent.environment.manifest.layers) rmSync(sent.layout.blobPath(digest));
    expect((await send({ ...sent, image: again })).missing).toEqual([]);
    await isThere({ ...sent, image: again });
    for (const { digest } of sent.environment.manifest.layers) rmSync(test.platform.services.images.blobPath(digest));
    const third = await appIn(sent.layout, sent.environment, "a third");
    const { digest } = sent.environment.manifest.layers[0] as Descriptor;
    expect(await failureOf(send({ ...sent, image: third }))).toMatchObject({ code: "BLOB_NOT_FOUND" });
    expect(await resolveImage(test.client, third.reference)).toBeUndefined();
    expect(await resolveImage(test.client, sent.image.reference), digest).toBeUndefined();
  });

  it("of which the platform has lost a part is sent again, and of it only that", async () => {
    const sent = await newImage(500);
    await send(sent);
    const lost = sent.image.layers.at(-1) as Descriptor;
    rmSync(test.platform.services.images.blobPath(lost.digest));
    proxy.seen.splice(0);
    await send(sent);
    await isThere(sent);
    expect(taken()).toBe(lost.size);
  });

  it("that is damaged on this machine is not sent, and made again the next time", async () => {
    const sent = await newImage(500);
    const { digest, size } = sent.image.layers.at(-1) as Descriptor;
    writeFileSync(sent.layout.blobPath(digest), Buffer.alloc(size));
    expect(await failureOf(send(sent))).toMatchObject({ code: "BLOB_DAMAGED" });
    await expect(stat(sent.layout.blobPath(digest))).rejects.toThrow("ENOENT");
    expect(await resolveImage(test.client, sent.image.reference)).toBeUndefined();
  });
});

describe("an image that cannot be sent ends with the cause", () => {
  const tooOld = { code: "PLATFORM_TOO_OLD", exit: 6, hint: expect.stringContaining("update it") };
  const toPost = (fault: Fault): FaultProxy["fault"] => first(Number.POSITIVE_INFINITY, "POST", UPLOAD, fault);
  it.each<[string, FaultProxy["fault"], object]>([
    [
      "503 without end",
      () => ({ answer: { status: 503 } }),
      { code: "PLATFORM_UNAVAILABLE", exit: 6, hint: expect.stringContaining("appctl tried 6 times; try again later") },
    ],
    [
      "500 without end",
      ({ path }) => (UPLOAD.test(path) ? { answer: { status: 500 } } : undefined),
      { code: "PLATFORM_UNAVAILABLE", exit: 6 },
    ],
    ["connections that break without end", () => ({ cutAnswer: true }), { code: "PLATFORM_UNREACHABLE", exit: 6 }],
    [
      "a key that is refused",
      toPost({ answer: { status: 403, body: '{"errors":[{"code":"DENIED","message":"not you"}]}' } }),
      { code: "UNAUTHENTICATED", exit: 3, message: expect.stringContaining("not you") },
    ],
    [
      "a proxy that takes less",
      first(Number.POSITIVE_INFINITY, "POST", UPLOAD, { answer: { status: 413, body: "<html>" } }),
      { code: "BLOB_TOO_LARGE", exit: 2, hint: expect.stringContaining("a proxy") },
    ],
    ["a full disk", toPost({ answer: { status: 507 } }), { exit: 6, message: expect.stringContaining("507") }],
    [
      "a platform without /v2/",
      ({ path }) => (path.startsWith("/v2/") ? { answer: { status: 404 } } : undefined),
      tooOld,
    ],
    [
      "an address that is not the platform's",
      toPost({ answer: { status: 202, headers: { location: "http://127.0.0.1:9/v2/x/blobs/uploads/1" } } }),
      { code: "UNEXPECTED_ANSWER", message: expect.stringContaining("http://127.0.0.1:9") },
    ],
    [
      "a redirect",
      () => ({ answer: { status: 302, headers: { location: "/elsewhere" } } }),
      { code: "UNEXPECTED_ANSWER", message: expect.stringContaining("302") },
    ],
  ])("at %s", async (_, fault, expected) => {
    const sent = await newImage(500);
    proxy.fault = fault;
    expect(await failureOf(send(sent))).toMatchObject(expected);
    if (expected === tooOld) expect(proxy.seen.filter(({ method }) => method === "POST").length).toBeLessThan(5);
    proxy.fault = () => undefined;
    expect(await resolveImage(test.client, sent.image.reference)).toBeUndefined();
  });

  it("at a key that was revoked meanwhile", async () => {
    const { key } = test.platform.services.keys.create("revoked", test.platform.url);
    test.platform.services.keys.delete("revoked");
    const failure = await failureOf(send(await newImage(500), clientAt(proxy.port, { apiKey: key })));
    expect(failure).toMatchObject({ code: "UNAUTHENTICATED", exit: 3, hint: expect.stringContaining("API key") });
  });
});
