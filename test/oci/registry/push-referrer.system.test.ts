import { Buffer } from "node:buffer";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { copyImage } from "../../../src/image/copy-image.ts";
import { type RegistryStore, registryAt } from "../../../src/image/registry-store.ts";
import type { OciLayout } from "../../../src/oci/layout.ts";
import { type Descriptor, digestOf, jsonBytes, type Manifest, MediaType } from "../../../src/oci/model.ts";
import { attachReferrer, type Referrer, referrersTag } from "../../../src/oci/referrer.ts";
import { fromLayout } from "../../../src/oci/registry/blob-source.ts";
import { pushReferrer } from "../../../src/oci/registry/push-referrer.ts";
import type { Repository } from "../../../src/oci/registry/repository.ts";
import { uploadBlob } from "../../../src/oci/registry/upload-blob.ts";
import { failureOf, folder, installed, run } from "../../image/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { DOCUMENT_TYPE, imageWith, pauses, repositoryAt, seen } from "./support.ts";

async function listAt(repository: Repository, subject: string): Promise<{ manifests: Descriptor[] }> {
  const { bytes, descriptor } = await repository.manifest(referrersTag(subject));
  expect(descriptor.mediaType).toBe(MediaType.index);
  return JSON.parse(bytes.toString("utf8"));
}

describe.skipIf(!hasDockerRegistry())(
  "an artifact about an image, in CNCF distribution 2.8, which has no referrers API",
  () => {
    let registry: DockerRegistry;
    let proxy: FaultProxy;
    let repository: Repository;
    beforeAll(async () => {
      registry = await startDockerRegistry({ dir: await folder() });
      proxy = await faultProxy(registry.port);
      repository = repositoryAt(proxy.host, { repository: "team/web-image", ...pauses() });
    });
    afterAll(async () => {
      await repository?.close();
      await proxy?.close();
      await registry?.close();
    });
    afterEach(() => {
      proxy.fault = () => undefined;
      proxy.seen.splice(0);
    });

    const push = (layout: OciLayout, subject: Descriptor, { parts }: Referrer) =>
      pushReferrer(repository, layout, subject, parts);

    it("is there, with its subject, and listed under the tag of the subject's digest", async () => {
      const { layout, image, referrer } = await imageWith("first");
      expect(await push(layout, image.descriptor, referrer)).toEqual({ descriptor: referrer.descriptor });
      const { bytes } = await repository.manifest(referrer.descriptor.digest);
      const manifest: Manifest = JSON.parse(bytes.toString("utf8"));
      expect(manifest).toMatchObject({ artifactType: DOCUMENT_TYPE, subject: image.descriptor });
      const [layer] = manifest.layers;
      const chunks: Buffer[] = [];
      for await (const chunk of repository.blob(layer as Descriptor)) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe("first");
      // What the specification asks of the list: the artifact's type and annotations stand in it.
      const { artifactType, annotations } = manifest;
      expect(await listAt(repository, image.digest)).toEqual({
        schemaVersion: 2,
        mediaType: MediaType.index,
        manifests: [{ ...referrer.descriptor, artifactType, annotations }],
      });
    });

    it.skipIf(!installed("skopeo"))("is read by skopeo, and so is the list", async () => {
      const { layout, image, referrer } = await imageWith("for skopeo");
      await push(layout, image.descriptor, referrer);
      const raw = async (reference: string) => {
        const name = `docker://${registry.host}/team/web-image${reference}`;
        return (await run("skopeo", ["inspect", "--raw", "--tls-verify=false", name], { encoding: "buffer" })).stdout;
      };
      const list = JSON.parse((await raw(`:${referrersTag(image.digest)}`)).toString());
      const [{ digest }] = list.manifests;
      expect(digestOf(await raw(`@${digest}`))).toBe(referrer.descriptor.digest);
    });

    it("takes the place of an earlier one of ours, and leaves what others have listed as it is", async () => {
      const { layout, image, referrer } = await imageWith("old");
      // The same type, made by something else, with fields that we do not know.
      const foreign = { ...referrer.descriptor, digest: digestOf("x"), annotations: { by: "another" }, data: "eA==" };
      const other = await attachReferrer(layout, image, "application/vnd.other", Buffer.from("signature"));
      const theirs = jsonBytes({
        schemaVersion: 2,
        mediaType: MediaType.manifest,
        artifactType: DOCUMENT_TYPE,
        config: other.parts.config,
        layers: [other.parts.layer],
      });
      await push(layout, image.descriptor, other);
      const stored = { ...foreign, digest: digestOf(theirs), size: theirs.length };
      await repository.putManifest(stored.digest, theirs, MediaType.manifest);
      const before = await listAt(repository, image.digest);
      const index = { ...before, annotations: { kept: "too" }, manifests: [...before.manifests, stored] };
      await repository.putManifest(referrersTag(image.digest), jsonBytes(index), MediaType.index);

      await push(layout, image.descriptor, referrer);
      const renewed = await attachReferrer(layout, image, DOCUMENT_TYPE, Buffer.from("new"));
      await push(layout, image.descriptor, renewed);
      const after = await listAt(repository, image.digest);
      expect(after).toEqual({ ...index, manifests: expect.any(Array) });
      const byDigest = (a: Descriptor, b: Descriptor) => (a.digest < b.digest ? -1 : 1);
      expect(after.manifests).toEqual([stored, other.descriptor, renewed.descriptor].sort(byDigest));
    });

    it("is not listed where something else has the tag: that stays, and the reason is given", async () => {
      const { layout, image, referrer } = await imageWith("unlisted");
      const tag = referrersTag(image.digest);
      const manifest = await layout.readBlob(image.digest);
      for (const blob of image.blobs.slice(0, -1)) {
        await uploadBlob(repository, fromLayout(layout, blob), { chunkSize: 1 << 20 });
      }
      await repository.putManifest(tag, manifest, MediaType.manifest);
      const result = await push(layout, image.descriptor, referrer);
      expect("refused" in result && result.refused.message).toContain(`${tag}`);
      expect("refused" in result && result.refused.message).toContain("no list of referrers");
      expect((await repository.resolve(tag))?.digest).toBe(image.digest);
    });

    it.each([
      [
        "no by an answer",
        400,
        '{"errors":[{"code":"MANIFEST_INVALID","message":"no artifacts here"}]}',
        "no artifacts here",
      ],
      ["that it may not", 403, '{"errors":[{"code":"DENIED","message":"images only"}]}', "images only"],
      ["that there is no such thing", 404, "", "404"],
    ])("is no reason to fail for a registry that says %s", async (_, status, body, said) => {
      const { layout, image, referrer } = await imageWith("refused");
      proxy.fault = ({ method, path }) =>
        method === "PUT" && path.includes(`manifests/${referrer.descriptor.digest}`)
          ? { answer: { status, body } }
          : undefined;
      const result = await push(layout, image.descriptor, referrer);
      expect("refused" in result && result.refused.message).toContain(said);
      expect(await repository.resolve(referrersTag(image.digest))).toBeUndefined();
    });

    it("fails with the cause at a registry that does not answer any more", async () => {
      const { layout, image, referrer } = await imageWith("cut");
      proxy.fault = ({ method, path }) =>
        method === "PUT" && path.includes(referrersTag(image.digest)) ? { cutAnswer: true } : undefined;
      const error = await failureOf(push(layout, image.descriptor, referrer));
      expect(error).toMatchObject({ code: "REGISTRY_UNREACHABLE", exit: 6 });
    });

    describe("when the image is pushed", () => {
      const asPushed = async (
        images: RegistryStore,
        { layout, image, referrer }: Awaited<ReturnType<typeof imageWith>>,
      ) => (await copyImage(image, { layout }, images, { document: async () => referrer })).document;

      async function withRegistry<T>(work: (images: RegistryStore) => Promise<T>): Promise<T> {
        const images = registryAt(proxy.host, { env: { HOME: await folder() }, signal: new AbortController().signal });
        try {
          return await work(images);
        } finally {
          await images.close();
        }
      }

      it("is there before the image's tag, so that an image that is there has it", async () => {
        const made = await imageWith("with the image");
        const pushed = await withRegistry((images) => asPushed(images, made));
        expect(pushed).toEqual({ descriptor: made.referrer.descriptor });
        const puts = seen(proxy).filter((each) => each.startsWith("PUT") && !each.startsWith("PUT uploads"));
        expect(puts).toEqual([
          `PUT ${made.referrer.descriptor.digest} 201`,
          `PUT ${referrersTag(made.image.digest)} 201`,
          `PUT ${made.image.tag} 201`,
        ]);
      });

      it("costs one question when nothing has changed", async () => {
        const made = await imageWith("once");
        await withRegistry((images) => asPushed(images, made));
        seen(proxy);
        await withRegistry((images) => asPushed(images, made));
        expect(seen(proxy)).toEqual([`HEAD ${made.image.tag} 200`, `HEAD ${made.referrer.descriptor.digest} 200`]);
      });

      it("comes to an image that is there without it", async () => {
        const made = await imageWith("later");
        const { image, layout } = made;
        await withRegistry((images) => copyImage(image, { layout }, images));
        await withRegistry((images) => asPushed(images, made));
        const own = repositoryAt(registry.host, { repository: "web-image" });
        expect((await listAt(own, image.digest)).manifests).toEqual([made.referrer.descriptor]);
        await own.close();
      });

      it("is pushed again when it broke off, for the image has no tag until then", async () => {
        const made = await imageWith("broken off");
        const tag = referrersTag(made.image.digest);
        proxy.fault = ({ method, path }) =>
          method === "PUT" && path.includes(tag)
            ? { answer: { status: 429, headers: { "retry-after": "9999" } } }
            : undefined;
        const error = await failureOf(withRegistry((images) => asPushed(images, made)));
        expect(error.code).toBe("REGISTRY_UNAVAILABLE");
        const own = repositoryAt(registry.host, { repository: "web-image" });
        expect(await own.resolve(made.image.tag)).toBeUndefined();
        proxy.fault = () => undefined;
        await withRegistry((images) => asPushed(images, made));
        expect((await own.resolve(made.image.tag))?.digest).toBe(made.image.digest);
        expect((await listAt(own, made.image.digest)).manifests).toEqual([made.referrer.descriptor]);
        await own.close();
      });
    });
  },
);
