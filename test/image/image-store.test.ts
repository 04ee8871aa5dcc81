import { Buffer } from "node:buffer";
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";
import { LayoutStore } from "../../src/image/layout-store.ts";
import { platformStore } from "../../src/image/platform-store.ts";
import { RegistryStore } from "../../src/image/registry-store.ts";
import { digestOf } from "../../src/oci/model.ts";
import { appIn, emptyLayout, environmentIn, pauses, repositoryAt } from "../oci/registry/support.ts";
import { faultProxy } from "../support/fault-proxy.ts";
import { startPlatform } from "../support/in-process.ts";
import { holdToContract } from "./store-contract.ts";

holdToContract("a layout", async () => ({
  store: new LayoutStore(await emptyLayout()),
  origin: () => undefined,
  close: async () => undefined,
}));

holdToContract("the platform", async () => {
  const test = await startPlatform();
  const host = `127.0.0.1:${test.platform.port}`;
  const { signal } = new AbortController();
  return {
    store: platformStore(test.client, { address: host, signal, ...pauses() }),
    origin: (repository) => ({ host, plain: true, repository }),
    close: () => test.close(),
  };
});

holdToContract("a registry with the referrers API", async () => {
  const test = await startPlatform();
  const host = `127.0.0.1:${test.platform.port}`;
  const password = new Redacted(readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim());
  const credentials = { kind: "password" as const, username: "ann", password };
  const store = new RegistryStore({
    address: host,
    repositoryOf: (repository) => repositoryAt(host, { repository, credentials, ...pauses() }),
  });
  return {
    store,
    origin: (repository) => ({ host, plain: true, repository }),
    close: async () => {
      await store.close();
      await test.close();
    },
  };
});

it("an image of which a layer is cut off counts as none in a layout", async () => {
  const layout = await emptyLayout();
  const image = await appIn(layout, await environmentIn(layout));
  const store = new LayoutStore(layout);
  expect(await store.resolve(image.reference)).toMatchObject({ digest: image.digest });
  truncateSync(layout.blobPath(image.layers[0]?.digest ?? ""), 500);
  expect(await store.resolve(image.reference)).toBeUndefined();
});

it("a registry that mounts nothing gets the content by the upload that it has begun instead", async () => {
  const test = await startPlatform();
  onTestFinished(() => test.close());
  const proxy = await faultProxy(test.platform.port);
  onTestFinished(() => proxy.close());
  const password = new Redacted(readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim());
  const credentials = { kind: "password" as const, username: "ann", password };
  const store = new RegistryStore({
    address: proxy.host,
    repositoryOf: (repository) => repositoryAt(proxy.host, { repository, credentials, ...pauses() }),
  });
  onTestFinished(() => store.close());
  const bytes = Buffer.from("nobody has this");
  const blob = { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length };
  const origin = { host: proxy.host, plain: true, repository: "of/another" };
  expect(await store.mount("team/web:1", blob, origin)).toBe(false);
  const open = (start: number, end: number) => Readable.from([bytes.subarray(start, end)], { objectMode: false });
  await store.put("team/web:1", { ...blob, open });
  expect(await store.has("team/web:1", blob)).toBe(true);
  expect(proxy.seen.filter(({ method, status }) => method === "POST" && status === 202)).toHaveLength(1);
});
