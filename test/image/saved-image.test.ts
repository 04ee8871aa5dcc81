/** The forms in which container engines save an image. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { readSavedImage } from "../../src/image/builder/saved-image.ts";
import { type TarEntry, tar } from "../../src/oci/archive/tar.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { folder } from "./support.ts";

const hex = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function bytesOf(entries: TarEntry[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of tar(entries)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const file = (path: string, content: Uint8Array | string): TarEntry => ({
  type: "file",
  path,
  content: Buffer.from(content as string),
});

/** Two layers and their configuration. */
async function imageOf() {
  const layers = await Promise.all(["one", "two"].map((text) => bytesOf([file(text, text)])));
  const diffIds = layers.map((layer) => `sha256:${hex(layer)}`);
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: "2026-01-01T00:00:00Z",
    config: { Env: ["A=b"], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: [],
  });
  return { layers, diffIds, config };
}

it("reads the form of Docker before 25, and gives for that of 25 and later, whose files are those of an OCI layout, the same", async () => {
  const { layers, diffIds, config } = await imageOf();
  const index = (Config: string, Layers: string[]) => JSON.stringify([{ Config, RepoTags: ["x:1"], Layers }]);
  const old = [
    ...layers.map((layer, at) => file(`${at}/layer.tar`, layer)),
    file(`${hex(Buffer.from(config))}.json`, config),
    file("manifest.json", index(`${hex(Buffer.from(config))}.json`, ["0/layer.tar", "1/layer.tar"])),
  ];
  const blob = (bytes: Uint8Array) => `blobs/sha256/${hex(bytes)}`;
  const manifest = JSON.stringify({ schemaVersion: 2, config: {}, layers: [] });
  const recent = [
    ...[...layers, Buffer.from(config), Buffer.from(manifest)].map((bytes) => file(blob(bytes), bytes)),
    file("index.json", JSON.stringify({ schemaVersion: 2, manifests: [] })),
    file("manifest.json", index(blob(Buffer.from(config)), layers.map(blob))),
    file("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" })),
  ];
  const layout = new OciLayout(await folder());
  const one = await readSavedImage(tar(old), layout);
  const two = await readSavedImage(tar(recent), layout);
  expect(one.config.rootfs.diff_ids).toEqual(diffIds);
  expect(one.config.config.Env).toEqual(["A=b"]);
  expect(one.manifest.layers).toHaveLength(2);
  expect(two.descriptor).toEqual(one.descriptor);
});

it("refuses an archive whose layer is not that of the configuration", async () => {
  const { layers, config } = await imageOf();
  const swapped = [
    ...layers.map((layer, at) => file(`${1 - at}/layer.tar`, layer)),
    file("config.json", config),
    file("manifest.json", JSON.stringify([{ Config: "config.json", Layers: ["0/layer.tar", "1/layer.tar"] }])),
  ];
  const layout = new OciLayout(await folder());
  await expect(readSavedImage(tar(swapped), layout)).rejects.toThrow("another layer at 0/layer.tar");
});
