/** Reads what `GET /images/{name}/get` of a container engine gives: a docker-archive. */
import { posix } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { readTar } from "../../oci/archive/tar-reader.ts";
import { configFrom } from "../../oci/documents.ts";
import type { OciLayout } from "../../oci/layout.ts";
import type { FetchedImage } from "../../oci/registry/fetch-image.ts";
import { writeImage } from "../environment-image.ts";
import { compressLayer, type Layer } from "../layer.ts";

/** Puts the archive's one image into the layout, its layers compressed again: the same content has the same digests. */
export async function readSavedImage(archive: AsyncIterable<Uint8Array>, layout: OciLayout): Promise<FetchedImage> {
  const layers = new Map<string, Layer>();
  const documents = new Map<string, Buffer>();
  const links = new Map<string, string>();
  for await (const { header, body } of readTar(archive)) {
    const { path, typeflag, target } = header;
    if (typeflag === "2") links.set(path, posix.join(posix.dirname(path), target));
    if (typeflag !== "0" && typeflag !== "\0" && typeflag !== "") continue;
    const isDocument = path.endsWith(".json");
    if (!isDocument && !path.endsWith(".tar") && !path.startsWith("blobs/")) continue;
    const pieces = body[Symbol.asyncIterator]();
    const first = (await pieces.next()).value ?? Buffer.alloc(0);
    async function* whole() {
      yield first;
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
    }
    if (isDocument || first[0] === 0x7b || first[0] === 0x5b) documents.set(path, await bytesOf(whole()));
    else
      layers.set(
        path,
        await compressLayer(layout, first[0] === 0x1f && first[1] === 0x8b ? unzipped(whole()) : whole(), { level: 6 }),
      );
  }
  const json = (path: string) => {
    const bytes = documents.get(path);
    if (!bytes) throw new Error(`the engine's archive has no ${path}`);
    return JSON.parse(bytes.toString("utf8"));
  };
  const [entry] = json("manifest.json") as { Config: string; Layers: string[] }[];
  if (!entry) throw new Error("the engine's archive has no image");
  const described = configFrom(json(entry.Config));
  if (!described) throw new Error(`the engine's archive has no image configuration at ${entry.Config}`);
  const { architecture, os, variant, config, rootfs, history, created } = described;
  const kept = entry.Layers.map((path, index) => {
    const layer = layers.get(links.get(path) ?? path);
    if (layer?.diffId !== rootfs.diff_ids[index]) throw new Error(`the engine's archive has another layer at ${path}`);
    return layer as Layer;
  });
  const sameConfig = { created, architecture, os, ...(variant ? { variant } : {}), config, rootfs, history };
  return writeImage(
    layout,
    sameConfig,
    kept.map((layer) => layer.descriptor),
  );
}

function unzipped(content: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const source = Readable.from(content, { objectMode: false });
  const plain = createGunzip();
  source.once("error", (error) => plain.destroy(error));
  return source.pipe(plain);
}

async function bytesOf(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}
