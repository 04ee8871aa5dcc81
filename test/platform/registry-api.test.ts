import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";
import { digestOf, type Manifest, MediaType } from "../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { folder } from "../image/support.ts";
import { appIn, emptyLayout, environmentIn, pullImage, pushImage, repositoryAt } from "../oci/registry/support.ts";
import { faultProxy } from "../support/fault-proxy.ts";
import {
  programImage,
  programSpec,
  refOf,
  scope,
  server,
  startPlatform,
  type TestPlatform,
} from "../support/in-process.ts";

let test: TestPlatform;
let key: string;
let host: string;

beforeAll(async () => {
  test = await startPlatform();
  key = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  host = `127.0.0.1:${test.platform.port}`;
});
afterAll(() => test?.close());

const credentials = () => ({ kind: "password" as const, username: "anyone", password: new Redacted(key) });

function call(method: string, path: string, body?: Uint8Array | string, headers: Record<string, string> = {}) {
  const more = body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) };
  return fetch(`http://${host}${path}`, { method, headers: { authorization: `Bearer ${key}`, ...headers }, ...more });
}

async function codesOf(answer: Response): Promise<[number, string[]]> {
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] };
  for (const { message } of errors) expect(message).not.toBe("");
  return [answer.status, errors.map(({ code }) => code)];
}

/** Begins an upload; gives its path. */
async function begin(name: string): Promise<string> {
  const answer = await call("POST", `/v2/${name}/blobs/uploads/`);
  expect(answer.status).toBe(202);
  return answer.headers.get("location") ?? "";
}

async function putBlob(name: string, bytes: Uint8Array): Promise<{ digest: string; size: number }> {
  const digest = digestOf(bytes);
  const answer = await call("POST", `/v2/${name}/blobs/uploads/?digest=${digest}`, bytes);
  expect([answer.status, await answer.text()]).toEqual([201, ""]);
  return { digest, size: bytes.length };
}

async function putImage(name: string, tag: string) {
  const config = { mediaType: MediaType.config, ...(await putBlob(name, Buffer.from(`{"of":"${name}:${tag}"}`))) };
  const layer = { mediaType: MediaType.layer, ...(await putBlob(name, randomBytes(10_000))) };
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MediaType.manifest, config, layers: [layer] });
  const answer = await call("PUT", `/v2/${name}/manifests/${tag}`, manifest, { "content-type": MediaType.manifest });
  expect(answer.status).toBe(201);
  return { manifest, digest: digestOf(manifest), layer, config };
}

describe("who may ask", () => {
  const status = async (authorization?: string) =>
    (await fetch(`http://${host}/v2/`, { headers: authorization ? { authorization } : {} })).status;
  const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

  it("asks for the body of a client that waits to be asked (Expect: 100-continue)", async () => {
    const bytes = Buffer.from("only when it is wanted");
    const digest = digestOf(bytes);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const upload = httpRequest(`http://${host}/v2/waits/blobs/uploads/?digest=${digest}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, expect: "100-continue", "content-length": bytes.length },
      });
      upload.once("continue", () => upload.end(bytes));
      upload.once("response", (answer) => resolve(answer.resume().statusCode));
      upload.once("error", reject);
      upload.flushHeaders();
    });
    expect(status).toBe(201);
  });

  it("is whoever has an API key, as the password of any user or alone", async () => {
    const answer = await fetch(`http://${host}/v2/`);
    expect(answer.headers.get("www-authenticate")).toBe('Basic realm="appctl"');
    expect(answer.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
    expect(await codesOf(answer)).toEqual([401, ["UNAUTHORIZED"]]);
    expect(await status(basic("ann", key))).toBe(200);
    expect(await status(basic("", key))).toBe(200);
    expect(await status(`Bearer ${key}`)).toBe(200);
    for (const wrong of [basic(key, ""), basic("ann", `${key}x`), basic("ann", "wrong"), "Basic !", "Basic", "x"]) {
      expect(await status(wrong), wrong.slice(0, 8)).toBe(401);
    }
  });

  it("is no page of another origin, and no key that was revoked", async () => {
    const foreign = await call("GET", "/v2/", undefined, { origin: "http://evil.example" });
    expect(await codesOf(foreign)).toEqual([403, ["DENIED"]]);
    const { key: other } = test.platform.services.keys.create("revoked", test.platform.url);
    expect(await status(basic("ann", other.reveal()))).toBe(200);
    test.platform.services.keys.delete("revoked");
    expect(await status(basic("ann", other.reveal()))).toBe(401);
  });

  it("asks on the platform's own host: on an app's, the path is the app's", async () => {
    const ask = (name: string) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const headers = { host: name, authorization: `Bearer ${key}` };
        httpRequest({ host: "127.0.0.1", port: test.platform.port, path: "/v2/", headers }, (answer) => {
          answer.resume();
          resolve({ status: answer.statusCode, ...answer.headers });
        })
          .on("error", reject)
          .end();
      });
    expect(await ask("localhost")).toMatchObject({ status: 200, "docker-distribution-api-version": "registry/2.0" });
    const app = await ask("nobody.apps.localhost");
    expect(app).toMatchObject({ status: 404, "appctl-gateway": expect.any(String) });
    expect(app).not.toHaveProperty("docker-distribution-api-version");
    expect(await ask("evil.example")).toMatchObject({ status: 421 });
  });
});

describe("uploads", () => {
  const bytes = randomBytes(300_000);
  const digest = digestOf(bytes);

  it("come in chunks, each where the last one ended, and can be asked how far they are", async () => {
    const path = await begin("chunks/of");
    const chunk = (start: number, end: number) =>
      call("PATCH", path, bytes.subarray(start, end), { "content-range": `${start}-${end - 1}` });
    expect((await chunk(0, 100_000)).headers.get("range")).toBe("0-99999");
    const wrong = await chunk(50_000, 150_000);
    expect(wrong.headers.get("range")).toBe("0-99999");
    expect(await codesOf(wrong)).toEqual([416, ["BLOB_UPLOAD_INVALID"]]);
    expect((await chunk(100_000, 200_000)).status).toBe(202);
    const where = await call("GET", path);
    expect([where.status, where.headers.get("range")]).toEqual([204, "0-199999"]);
    const elsewhere = path.replace("chunks/of", "chunks/elsewhere");
    expect(await codesOf(await call("GET", elsewhere))).toEqual([404, ["BLOB_UPLOAD_UNKNOWN"]]);
    const end = await call("PUT", `${path}?digest=${digest}`, bytes.subarray(200_000));
    expect([end.status, end.headers.get("location")]).toEqual([201, `/v2/chunks/of/blobs/${digest}`]);
    expect(await codesOf(await call("GET", path))).toEqual([404, ["BLOB_UPLOAD_UNKNOWN"]]);
    const back = await call("GET", `/v2/chunks/of/blobs/${digest}`);
    expect(digestOf(Buffer.from(await back.arrayBuffer()))).toBe(digest);
  });

  it("keep what came before a connection broke", async () => {
    const path = await begin("broken");
    const half = bytes.subarray(0, 150_000);
    await new Promise<void>((resolve) => {
      const headers = { authorization: `Bearer ${key}`, "content-length": String(bytes.length) };
      const sent = httpRequest({ host: "127.0.0.1", port: test.platform.port, path, method: "PATCH", headers });
      sent.on("error", () => undefined).on("close", resolve);
      sent.write(half);
      const upTo = setInterval(async () => {
        const range = (await call("GET", path)).headers.get("range");
        if (range !== `0-${half.length - 1}`) return;
        clearInterval(upTo);
        sent.destroy();
      }, 5);
    });
    const end = await call("PUT", `${path}?digest=${digest}`, bytes.subarray(half.length), {
      "content-range": `${half.length}-${bytes.length - 1}`,
    });
    expect(end.status).toBe(201);
  });

  it("are refused when their digest does not fit, and leave nothing", async () => {
    const other = digestOf("something else");
    const uploads = join(test.dir, "state", "images", "uploads");
    const path = await begin("wrong");
    expect(readdirSync(uploads)).toHaveLength(1);
    expect(await codesOf(await call("PUT", `${path}?digest=${other}`, bytes))).toEqual([400, ["DIGEST_INVALID"]]);
    expect(await codesOf(await call("POST", `/v2/wrong/blobs/uploads/?digest=${other}`, bytes))).toEqual([
      400,
      ["DIGEST_INVALID"],
    ]);
    expect((await call("DELETE", await begin("wrong"))).status).toBe(204);
    expect(readdirSync(uploads)).toEqual([]);
    expect(await codesOf(await call("GET", `/v2/wrong/blobs/${other}`))).toEqual([404, ["BLOB_UNKNOWN"]]);
  });

  it("of what another repository has are not needed", async () => {
    await putBlob("first", bytes);
    const mounted = await call("POST", `/v2/second/blobs/uploads/?mount=${digest}&from=first`);
    expect([mounted.status, mounted.headers.get("location")]).toEqual([201, `/v2/second/blobs/${digest}`]);
    const unknown = await call("POST", `/v2/second/blobs/uploads/?mount=${digestOf("unknown")}&from=first`);
    expect(unknown.status).toBe(202);
  });

  it("of a platform that was killed are swept away by the next one", async () => {
    const dir = await folder();
    const uploads = join(dir, "state", "images", "uploads");
    mkdirSync(uploads, { recursive: true });
    writeFileSync(join(uploads, "left-behind"), "x");
    const next = await startPlatform({ dir });
    expect(existsSync(join(uploads, "left-behind"))).toBe(false);
    await next.close();
  });
});

it("a blob is given whole or in part", async () => {
  const { digest } = await putBlob("ranges", Buffer.from("0123456789"));
  const get = async (range: string) => {
    const answer = await call("GET", `/v2/ranges/blobs/${digest}`, undefined, { range });
    return [answer.status, answer.headers.get("content-range"), await answer.text()];
  };
  expect(await get("bytes=2-4")).toEqual([206, "bytes 2-4/10", "234"]);
  expect(await get("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await get("bytes=-3")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await get("bytes=8-99")).toEqual([206, "bytes 8-9/10", "89"]);
  for (const whole of ["bytes=4-2", "lines=1-2", "bytes=x", "bytes=-", "bytes=0-1,3-4"]) {
    expect(await get(whole), whole).toEqual([200, null, "0123456789"]);
  }
  expect((await get("bytes=10-")).slice(0, 2)).toEqual([416, "bytes */10"]);
  const head = await call("HEAD", `/v2/ranges/blobs/${digest}`);
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "10", ""]);
});

describe("manifests", () => {
  it("are kept by tag and digest, listed by pages, and deleted where nothing needs them", async () => {
    const { manifest, digest } = await putImage("kept/image", "v1");
    for (const tag of ["v2", "v3"]) {
      const type = { "content-type": MediaType.manifest };
      expect((await call("PUT", `/v2/kept/image/manifests/${tag}`, manifest, type)).status).toBe(201);
    }
    for (const reference of ["v1", digest]) {
      const answer = await call("GET", `/v2/kept/image/manifests/${reference}`);
      expect(answer.headers.get("docker-content-digest")).toBe(digest);
      expect(answer.headers.get("content-type")).toBe(MediaType.manifest);
      expect(await answer.text()).toBe(manifest);
    }
    const head = await call("HEAD", "/v2/kept/image/manifests/v1");
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(manifest.length)]);
    const first = await call("GET", "/v2/kept/image/tags/list?n=2");
    expect(await first.json()).toEqual({ name: "kept/image", tags: ["v1", "v2"] });
    const link = /^<(.+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1] as string;
    expect(await (await call("GET", link)).json()).toEqual({ name: "kept/image", tags: ["v3"] });
    const catalog = (await (await call("GET", "/v2/_catalog")).json()) as { repositories: string[] };
    expect(catalog.repositories).toContain("kept/image");

    expect((await call("DELETE", "/v2/kept/image/manifests/v1")).status).toBe(202);
    expect((await call("GET", `/v2/kept/image/manifests/v1`)).status).toBe(404);
    expect((await call("GET", `/v2/kept/image/manifests/${digest}`)).status).toBe(200);
    expect((await call("DELETE", `/v2/kept/image/manifests/${digest}`)).status).toBe(202);
    expect(await codesOf(await call("GET", `/v2/kept/image/manifests/${digest}`))).toEqual([404, ["MANIFEST_UNKNOWN"]]);
    expect(await codesOf(await call("GET", "/v2/kept/image/tags/list"))).toEqual([404, ["NAME_UNKNOWN"]]);
  });

  it("are taken whole: every part must be here, and all that are not are named", async () => {
    const { config, digest } = await putImage("whole", "v1");
    const lost = [digestOf("a"), digestOf("b")].map((each) => ({ mediaType: MediaType.layer, digest: each, size: 1 }));
    const put = (value: unknown, reference = "x", type: string = MediaType.manifest) =>
      call("PUT", `/v2/whole/manifests/${reference}`, JSON.stringify(value), { "content-type": type });
    const manifest = { schemaVersion: 2, mediaType: MediaType.manifest, config, layers: lost };
    expect(await codesOf(await put(manifest))).toEqual([400, ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"]]);
    const whole = { ...manifest, layers: [] };
    const odd = { ...whole, config: { ...config, size: config.size + 1 } };
    expect(await codesOf(await put(odd))).toEqual([400, ["MANIFEST_BLOB_UNKNOWN"]]);
    expect(await codesOf(await put(whole, digestOf("x")))).toEqual([400, ["DIGEST_INVALID"]]);
    expect(await codesOf(await put(whole, "x", MediaType.index))).toEqual([400, ["MANIFEST_INVALID"]]);
    expect(await codesOf(await put({ ...whole, manifests: [] }))).toEqual([400, ["MANIFEST_INVALID"]]);
    expect(await codesOf(await put(whole, "-x"))).toEqual([400, ["TAG_INVALID"]]);
    expect((await call("GET", "/v2/whole/manifests/x")).status).toBe(404);

    const index = {
      schemaVersion: 2,
      mediaType: MediaType.index,
      manifests: [
        {
          mediaType: MediaType.manifest,
          digest,
          size: (await call("GET", `/v2/whole/manifests/${digest}`)).headers.get("content-length"),
        },
      ],
    };
    const sized = { ...index, manifests: index.manifests.map((each) => ({ ...each, size: Number(each.size) })) };
    expect((await put(sized, "all", MediaType.index)).status).toBe(201);
    expect(await codesOf(await call("DELETE", `/v2/whole/manifests/${digest}`))).toEqual([409, ["DENIED"]]);
  });

  it("about an image are its referrers", async () => {
    const { digest } = await putImage("about", "v1");
    const size = Number((await call("HEAD", `/v2/about/manifests/${digest}`)).headers.get("content-length"));
    const config = { mediaType: "application/vnd.oci.empty.v1+json", ...(await putBlob("about", Buffer.from("{}"))) };
    const attach = async (artifactType: string) => {
      const subject = { mediaType: MediaType.manifest, digest, size };
      const manifest = JSON.stringify({
        ...{ schemaVersion: 2, mediaType: MediaType.manifest, artifactType, config, layers: [], subject },
        annotations: { of: artifactType },
      });
      const path = `/v2/about/manifests/${digestOf(manifest)}`;
      const answer = await call("PUT", path, manifest, { "content-type": MediaType.manifest });
      expect([answer.status, answer.headers.get("oci-subject")]).toEqual([201, digest]);
      return digestOf(manifest);
    };
    const attached = await Promise.all(["a/a", "b/b", "c/c"].map(attach));
    const list = async (query = "") => {
      const answer = await call("GET", `/v2/about/referrers/${digest}${query}`);
      expect(answer.headers.get("content-type")).toBe(MediaType.index);
      const { manifests } = (await answer.json()) as { manifests: { digest: string; annotations: object }[] };
      return manifests;
    };
    expect((await list()).map((each) => each.digest).sort()).toEqual([...attached].sort());
    expect(await list("?artifactType=b/b")).toMatchObject([{ digest: attached[1], annotations: { of: "b/b" } }]);
    const nobody = await call("GET", `/v2/about/referrers/${digestOf("x")}`);
    expect(await nobody.json()).toMatchObject({ manifests: [] });
  });
});

describe("appctl's own push and pull", () => {
  it("send an image that can be deployed; its revision keeps it", async () => {
    const local = await startPlatform();
    const image = await programImage(local, server("pushed"));
    const layout = local.platform.services.images;
    const stored = await layout.resolve(image.reference);
    if (!stored) throw new Error("the image has no name");
    const repository = repositoryAt(host, { repository: "program-image", credentials: credentials() });
    const tag = image.reference.slice(image.reference.lastIndexOf(":") + 1);
    const sent = await pushImage({ repository, layout, image: stored, tag, chunkSize: 256 });
    expect(sent.length).toBeGreaterThan(1);
    expect(await pushImage({ repository, layout, image: stored, tag })).toEqual([]);
    await repository.close();
    await local.close();

    const deployed = await test.client.applyApp(refOf("pushed"), programSpec("pushed"), image, "pushed");
    const events = [];
    for await (const event of test.client.follow(refOf("pushed"), deployed.id, 0)) events.push(event);
    expect(events.at(-1)).toMatchObject({ type: "succeeded" });
    const answer = await call("DELETE", `/v2/program-image/manifests/${image.digest}`);
    expect(await codesOf(answer)).toEqual([409, ["DENIED"]]);
    const use = { ...scope, app: "pushed", revision: "pushed-00001", active: true };
    const listed = (await test.client.listImages()).find(({ digest }) => digest === image.digest);
    const { config, layers } = await test.platform.services.images.readJson<Manifest>(image.digest);
    const size = [stored, config, ...layers].reduce((sum: number, part: { size: number }) => sum + part.size, 0);
    const createdAt = expect.stringMatching(/^20.*Z$/);
    expect(listed).toEqual({
      ...{ repository: "program-image", tag, size, createdAt },
      digest: image.digest,
      revisions: [use],
    });
  });

  it("take a broken upload up where it stood, and fetch what was sent", async () => {
    const proxy = await faultProxy(test.platform.port);
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const repository = repositoryAt(proxy.host, { credentials: credentials(), wait: async () => undefined });
    let chunks = 0;
    proxy.fault = ({ method }) => (method === "PATCH" && ++chunks === 2 ? { cutRequest: 10_000 } : undefined);
    await pushImage({ repository, layout, image: image.descriptor, tag: image.tag, chunkSize: 64 * 1024 });
    expect(chunks).toBeGreaterThan(2);
    const asked = proxy.seen.filter(({ method, path }) => method === "GET" && path.includes("/blobs/uploads/"));
    // Once, or again while the platform still has the request that broke off.
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([204]));
    const back = await emptyLayout();
    const from = repositoryAt(host, { access: "pull", credentials: credentials() });
    const pulled = await pullImage(from, image.tag, back, ociTarget(hostTarget()));
    expect(pulled.descriptor.digest).toBe(image.descriptor.digest);
    for (const { digest } of image.blobs) expect(await back.readBlob(digest)).toEqual(await layout.readBlob(digest));
    await Promise.all([from.close(), repository.close()]);
    await proxy.close();
  });
});

describe("the list of images", () => {
  const listed = async (name: string) =>
    (await test.client.listImages()).filter(({ repository }) => repository === name);

  it("has what no revision runs, each part of an index once, and no list of referrers", async () => {
    const { digest, manifest, config, layer } = await putImage("listed", "v1");
    const whole = config.size + layer.size + manifest.length;
    const child = { mediaType: MediaType.manifest, digest, size: manifest.length };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: MediaType.index, manifests: [child, child] });
    await call("PUT", "/v2/listed/manifests/all", index, { "content-type": MediaType.index });
    const about = JSON.stringify({ ...JSON.parse(manifest), artifactType: "a/a", subject: child });
    await call("PUT", `/v2/listed/manifests/${digestOf(about)}`, about, { "content-type": MediaType.manifest });
    expect((await call("GET", "/v2/listed/tags/list")).status).toBe(200);
    expect(await listed("listed")).toMatchObject([
      { tag: "all", digest: digestOf(index), size: whole + index.length, revisions: [] },
      { tag: "v1", digest, size: whole, revisions: [] },
    ]);
  });

  it("says that an image is damaged, and lists the others", async () => {
    const { digest } = await putImage("damaged", "v1");
    writeFileSync(test.platform.services.images.blobPath(digest), "{}");
    expect(await listed("damaged")).toMatchObject([{ tag: "v1", digest, size: null }]);
    expect((await call("GET", `/v2/damaged/manifests/v1`)).status).toBe(404);
    await call("DELETE", "/v2/damaged/manifests/v1");
    expect(await listed("damaged")).toEqual([]);
  });
});

it("malfunctions are none of it: nothing was reported", () => {
  expect(test.reports).toEqual([]);
});
