/** The contract of every ImageStore. */
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyImage } from "../../src/image/copy-image.ts";
import { writeImage } from "../../src/image/environment-image.ts";
import { writeIndex } from "../../src/image/image-index.ts";
import type { ImageStore } from "../../src/image/image-store.ts";
import type { OciLayout } from "../../src/oci/layout.ts";
import { type Descriptor, digestOf, EPOCH, MediaType } from "../../src/oci/model.ts";
import { attachReferrer } from "../../src/oci/referrer.ts";
import { type BlobSource, fromLayout } from "../../src/oci/registry/blob-source.ts";
import { hostTarget, ociTarget } from "../../src/packages/npm-target.ts";
import { appIn, DOCUMENT_TYPE, emptyLayout, environmentIn } from "../oci/registry/support.ts";

/** A store to hold to the contract. */
export interface StoreSubject {
  store: ImageStore;
  /** The repository of the image `name`, for stores in registries. */
  origin(name: string): BlobSource["origin"];
  close(): Promise<void>;
}

let count = 0;
/** A name that no other test has. */
const newName = () => `contract/image-${++count}`;

async function newImage(name = newName(), size = 5000) {
  const layout = await emptyLayout();
  const environment = { ...(await environmentIn(layout, size)), reference: `${name}:environment` };
  return { layout, environment, image: await appIn(layout, environment, `${count++}`) };
}

const source = (bytes: Uint8Array, digest = digestOf(bytes)): BlobSource => ({
  digest,
  size: bytes.length,
  open: (start, end) => Readable.from([bytes.subarray(start, end)], { objectMode: false }),
});

/** Declares the tests of the contract for one store. */
export function holdToContract(what: string, start: () => Promise<StoreSubject>): void {
  describe(`${what} keeps images`, () => {
    let subject: StoreSubject;
    let store: ImageStore;
    beforeAll(async () => {
      subject = await start();
      store = subject.store;
    });
    afterAll(() => subject?.close());

    const copy = (image: { reference: string; descriptor: Descriptor }, layout: OciLayout) =>
      copyImage(image, { layout }, store);

    it("under a name that is unknown before, and leads to the image after", async () => {
      const { layout, image } = await newImage();
      expect(await store.resolve(image.reference)).toBeUndefined();
      await copy(image, layout);
      expect(await store.resolve(image.reference)).toEqual(image.descriptor);
    });

    it("of which it says what content it has, by digest and size", async () => {
      const { layout, image } = await newImage();
      const [layer] = image.layers as [Descriptor];
      expect(await store.has(image.reference, layer)).toBe(false);
      const arrived: number[] = [];
      await store.put(image.reference, fromLayout(layout, layer), (bytes) => arrived.push(bytes));
      expect(arrived.at(-1)).toBe(layer.size);
      expect(await store.has(image.reference, layer)).toBe(true);
      expect(await store.has(image.reference, { ...layer, size: layer.size + 1 })).toBe(false);
    });

    it("and no content that is damaged", async () => {
      const name = `${newName()}:1`;
      const damaged = source(Buffer.from("damaged"), digestOf("whole"));
      await expect(store.put(name, damaged)).rejects.toThrow();
      expect(await store.has(name, damaged)).toBe(false);
    });

    it("and no half of one: it gets no name until every part is there", async () => {
      const { layout, image } = await newImage();
      const [first, ...others] = image.blobs.slice(0, -1) as [Descriptor, ...Descriptor[]];
      for (const blob of others) await store.put(image.reference, fromLayout(layout, blob));
      const bytes = await layout.readBlob(image.digest);
      if (!(await store.has(image.reference, first))) {
        await expect(store.name(image.reference, image.descriptor, bytes)).rejects.toThrow();
      }
      expect(await store.resolve(image.reference)).toBeUndefined();
      await store.put(image.reference, fromLayout(layout, first));
      await store.name(image.reference, image.descriptor, bytes);
      expect((await store.resolve(image.reference))?.digest).toBe(image.digest);
    });

    it("and takes what another name has over from there, or says that it needs the content", async () => {
      const { layout, image } = await newImage();
      await copy(image, layout);
      const name = newName();
      const [layer] = image.layers as [Descriptor];
      const origin = subject.origin(image.reference.split(":")[0] as string);
      const isThere = await store.has(`${name}:1`, layer);
      expect(isThere || (await store.mount(`${name}:1`, layer, origin))).toBe(true);
      expect(await store.has(`${name}:1`, layer)).toBe(true);
      const unknown = { mediaType: MediaType.layer, digest: digestOf("unknown"), size: 7 };
      expect(await store.mount(`${name}:1`, unknown, origin)).toBe(false);
    });

    it("and gives the manifest and the configuration back, without the layers", async () => {
      const { layout, image, environment } = await newImage();
      await copy(environment, layout);
      const target = ociTarget(hostTarget());
      const own = await emptyLayout();
      const read = await store.read(environment.reference, environment.descriptor.digest, own, target);
      const { descriptor, manifest, config } = environment;
      expect(read).toEqual({ descriptor, manifest, config });
      const again = await appIn(own, { ...read, reference: environment.reference }, "on top");
      expect(again.layers[0]).toEqual(image.layers[0]);
      expect(existsSync(own.blobPath((image.layers[0] as Descriptor).digest))).toBe(false);
    });

    it("of which only what it lacks is sent, also by another who has the rest of it nowhere", async () => {
      const { layout, image, environment } = await newImage();
      const { sent } = await copy(image, layout);
      expect(sent.map(({ digest }) => digest).sort()).toEqual(image.blobs.map(({ digest }) => digest).sort());
      expect((await copy(image, layout)).sent).toEqual([]);
      const own = await emptyLayout();
      for (const { digest } of [environment.descriptor, environment.manifest.config]) {
        await own.writeBlob(await layout.readBlob(digest));
      }
      const changed = await appIn(own, environment, "changed");
      const others = (await copy(changed, own)).sent.map(({ digest }) => digest);
      expect(others).toHaveLength(3);
      expect(others).not.toContain(image.layers[0]?.digest);
    });

    it("whose content passes through from where it is", async () => {
      const { layout, image } = await newImage();
      const own = await emptyLayout();
      for (const { digest } of [image.blobs.at(-1), image.blobs.at(-2)] as Descriptor[]) {
        await own.writeBlob(await layout.readBlob(digest));
      }
      const error = await copyImage(image, { layout: own }, store).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "BLOB_NOT_FOUND" });
      expect(await store.resolve(image.reference)).toBeUndefined();
      const elsewhere = { open: (_: string, blob: Descriptor) => fromLayout(layout, blob) };
      await copyImage(image, { layout: own, others: [elsewhere] }, store);
      expect((await store.resolve(image.reference))?.digest).toBe(image.digest);
    });

    it("and gives a name to another image, and to an index of several", async () => {
      const [first, second] = [await newImage(), await newImage()];
      const reference = `${newName()}:moves`;
      await copy({ ...first.image, reference }, first.layout);
      await copy({ ...second.image, reference }, second.layout);
      expect((await store.resolve(reference))?.digest).toBe(second.image.digest);
      const parts = [{ platform: hostTarget(), image: first.image }];
      const index = await writeIndex(parts, first.layout);
      await copy(first.image, first.layout);
      await store.name(index.reference, index.descriptor, await first.layout.readBlob(index.descriptor.digest));
      expect((await store.resolve(index.reference))?.digest).toBe(index.descriptor.digest);
    });

    it("and a document about one, once", async () => {
      const { layout, image } = await newImage();
      const referrer = await attachReferrer(layout, image, DOCUMENT_TYPE, Buffer.from("about it"));
      const document = async () => referrer;
      const attached = { document: { descriptor: referrer.descriptor } };
      expect(await copyImage(image, { layout }, store, { document })).toMatchObject(attached);
      expect(await copyImage(image, { layout }, store, { document })).toMatchObject({ sent: [], ...attached });
    });

    it("without a layer, too", async () => {
      const layout = await emptyLayout();
      const config = {
        created: EPOCH,
        ...ociTarget(hostTarget()),
        config: { Env: [], WorkingDir: "/" },
        rootfs: { type: "layers" as const, diff_ids: [] },
        history: [],
      };
      const reference = `${newName()}:empty`;
      await copy({ reference, ...(await writeImage(layout, config, [])) }, layout);
      expect(await store.resolve(reference)).toBeDefined();
    });
  });
}
