import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { inParallel } from "../../../src/core/in-parallel.ts";
import { copyImage } from "../../../src/image/copy-image.ts";
import { type EnvironmentImage, writeImage } from "../../../src/image/environment-image.ts";
import { writeLayer } from "../../../src/image/layer.ts";
import { RegistryStore } from "../../../src/image/registry-store.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { type Descriptor, EPOCH } from "../../../src/oci/model.ts";
import { attachReferrer } from "../../../src/oci/referrer.ts";
import { fromRepository, intoLayout } from "../../../src/oci/registry/blob-source.ts";
import type { Credentials } from "../../../src/oci/registry/credentials.ts";
import { fetchImage } from "../../../src/oci/registry/fetch-image.ts";
import { Repository } from "../../../src/oci/registry/repository.ts";
import type { OciTarget } from "../../../src/oci/target.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { buildAppImage } from "../../image/build-app-image.ts";
import { folder } from "../../image/support.ts";
import type { FaultProxy } from "../../support/fault-proxy.ts";

/** An empty layout. */
export async function emptyLayout(): Promise<OciLayout> {
  return new OciLayout(join(await folder(), "layout"));
}

/** An environment image with a packages layer of `size` bytes that no other has. */
export async function environmentIn(layout: OciLayout, size = 200_000): Promise<EnvironmentImage> {
  const content = randomBytes(size);
  const entries = [
    { type: "directory" as const, path: "app" },
    { type: "directory" as const, path: "app/node_modules" },
    { type: "file" as const, path: "app/node_modules/data", executable: false, content },
  ];
  const layer = await writeLayer(layout, entries, { role: "packages", level: 1 });
  const config = {
    created: EPOCH,
    ...ociTarget(hostTarget()),
    config: { Env: ["GREETING=hello"], WorkingDir: "/app" },
    rootfs: { type: "layers" as const, diff_ids: [layer.diffId] },
    history: [{ created: EPOCH, created_by: "appctl: packages" }],
  };
  const { manifest, descriptor } = await writeImage(layout, config, [layer.descriptor]);
  await layout.tag("web-image:environment", descriptor);
  return { reference: "web-image:environment", descriptor, manifest, config };
}

/** An app image on top of an environment image. */
export function appIn(layout: OciLayout, environment: EnvironmentImage, code = "console.log('hello')") {
  const files = [{ path: "main.mjs", bytes: Buffer.from(code) }];
  return buildAppImage({ environment, layout, files, config: { cmd: ["node", "/app/main.mjs"], port: 8080 } });
}

/** Brings an image of a layout to a repository under a tag or its digest. Returns what was sent. */
export async function pushImage({
  repository,
  layout,
  image: descriptor,
  tag,
  chunkSize,
  from,
  onProgress,
}: {
  repository: Repository;
  layout: OciLayout;
  image: Descriptor;
  tag: string;
  chunkSize?: number;
  /** Another repository, which may have the content. */
  from?: Repository;
  onProgress?: (done: number, total: number) => void;
}): Promise<Descriptor[]> {
  const store = new RegistryStore({ address: repository.name.host, repositoryOf: () => repository, chunkSize });
  store.resolve = () => repository.resolve(tag);
  store.name = async (_, { mediaType }, bytes) => void (await repository.putManifest(tag, bytes, mediaType));
  const others = from ? [{ open: (_: string, blob: Descriptor) => fromRepository(from, blob) }] : [];
  const { sent } = await copyImage({ reference: "any:1", descriptor }, { layout, others }, store, { onProgress });
  return sent;
}

/** Fetches an image with its layers. */
export async function pullImage(repository: Repository, reference: string, layout: OciLayout, target: OciTarget) {
  const image = await fetchImage(repository, reference, layout, target);
  await inParallel(image.manifest.layers, (layer) => intoLayout(layout, fromRepository(repository, layer)));
  return image;
}

/** Pauses that were asked for, and a `wait` that makes none. */
export function pauses() {
  const asked: number[] = [];
  return { asked, wait: async (ms: number) => void asked.push(ms) };
}

/** A repository of a registry on this machine; without credentials unless it is given some. */
export function repositoryAt(
  host: string,
  options: {
    repository?: string;
    plain?: boolean;
    access?: "pull" | "push";
    wait?: (ms: number, signal: AbortSignal) => Promise<void>;
    credentials?: Credentials;
    mountFrom?: string[];
    signal?: AbortSignal;
    env?: NodeJS.ProcessEnv;
    silenceMs?: { sending: number; asking: number };
  } = {},
): Repository {
  const { repository = "team/web-image", plain = true, access = "push", wait, credentials, mountFrom } = options;
  return new Repository({
    name: { host, plain, repository },
    access,
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    wait,
    silenceMs: options.silenceMs,
    mountFrom: mountFrom ?? [],
    credentials: async () => credentials,
  });
}

/** Media type of the documents of {@link imageWith}. */
export const DOCUMENT_TYPE = "application/vnd.test.document+json";
let imageCount = 0;

/** An image of its own, and a document about it that says `text`. */
export async function imageWith(text: string) {
  const layout = await emptyLayout();
  const image = await appIn(layout, await environmentIn(layout, 1000), `${++imageCount}`);
  return { layout, image, referrer: await attachReferrer(layout, image, DOCUMENT_TYPE, Buffer.from(text)) };
}

/** What the proxy saw since the last call: `PUT sha256:… 201`, `POST uploads 202`. */
export function seen(proxy: FaultProxy): string[] {
  return proxy.seen
    .splice(0)
    .map(({ method, path, status }) => `${method} ${/uploads|[^/]*$/.exec(path.split("?")[0] ?? "")?.[0]} ${status}`);
}
