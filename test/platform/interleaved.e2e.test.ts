/** Deletes of images at every moment of a deploy and of a push, and the other way round: one of the two wins, whole. */
import { existsSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImageReference } from "../../src/contract/types.ts";
import { readManifest } from "../../src/oci/documents.ts";
import { jsonBytes, MediaType } from "../../src/oci/model.ts";
import { RECENT_MS } from "../../src/platform/images/image-garbage.ts";
import { FakeEngine, hangs } from "../engine/fake-engine.ts";
import { programImage, programSpec, refOf, startPlatform, type TestPlatform } from "../support/in-process.ts";

let test: TestPlatform;
let key: string;
/** Called before and after each call of the store of images. */
let step: () => Promise<void> = async () => undefined;
let made = 0;

beforeAll(async () => {
  const engine = new FakeEngine();
  engine.script = hangs; // what is accepted stays as it is
  test = await startPlatform({ makeEngine: async () => engine });
  key = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  const store = test.platform.services.images as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (const name of [
    "hasBlob",
    "missing",
    "readBlob",
    "resolve",
    "references",
    "writeBlob",
    "tag",
    "untag",
    "locked",
  ]) {
    const real = store[name]?.bind(store);
    store[name] = async (...args) => {
      await step();
      const result = await real?.(...args);
      await step();
      return result;
    };
  }
});
afterAll(() => test?.close());

const newImage = () => programImage(test, `// ${made++}`);
const nameOf = ({ reference }: ImageReference) => reference.split(":")[0];

/** Status of the answer. */
async function call(method: string, path: string, body?: Uint8Array, type?: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}`, ...(type === undefined ? {} : { "content-type": type }) };
  const more = body === undefined ? {} : { body: new Uint8Array(body) };
  const answer = await fetch(`http://127.0.0.1:${test.platform.port}${path}`, { method, headers, ...more });
  await answer.arrayBuffer();
  return answer.status;
}
const remove = (image: ImageReference) => call("DELETE", `/v2/${nameOf(image)}/manifests/${image.digest}`);

/** Puts an app with that image; "accepted", or why not. */
async function deploy(image: ImageReference): Promise<string> {
  const name = `app-${made++}`;
  const apply = test.client.applyApp(refOf(name), programSpec(name), image, crypto.randomUUID());
  return apply.then(
    () => "accepted",
    (error: { code: string }) => error.code,
  );
}

/** Makes everything that is stored two hours older. */
function age(): void {
  const old = new Date(Date.now() - 2 * RECENT_MS);
  const blobs = join(test.dir, "state/images/blobs/sha256");
  for (const name of readdirSync(blobs)) utimesSync(join(blobs, name), old, old);
}

/** Every revision has its image whole, and every name stands for a whole image. */
async function nothingIsHalf(): Promise<void> {
  const { images, store } = test.platform.services;
  const needed = store.all().flatMap(({ id }) => store.revisions(id).map(({ digest }) => digest));
  const named = await images.references();
  for (const digest of [...needed, ...named.map(({ descriptor }) => descriptor.digest)]) {
    expect(existsSync(images.blobPath(digest)), digest).toBe(true);
    const document = JSON.parse(readFileSync(images.blobPath(digest), "utf8"));
    const parts: { digest: string }[] = document.manifests ?? [document.config, ...document.layers];
    for (const part of parts) expect(existsSync(images.blobPath(part.digest)), part.digest).toBe(true);
  }
}

/**
 * Runs `first`, made again for each of its moments, and all of `second` at that moment. Gives what the two came to, each
 * outcome once, in order of the moments.
 */
async function atEachMoment<A, B>(
  make: () => Promise<{ first: () => Promise<A>; second: () => Promise<B> }>,
): Promise<[A, B][]> {
  const outcomes: [A, B][] = [];
  for (let moment = 1; ; moment++) {
    const { first, second } = await make();
    let passed = 0;
    let inside: B | undefined;
    step = async () => {
      if (++passed !== moment) return;
      step = async () => undefined;
      inside = await second();
    };
    const outcome = await first();
    step = async () => undefined;
    await nothingIsHalf();
    if (inside === undefined) {
      expect(moment).toBeGreaterThan(4); // it has had moments
      return outcomes;
    }
    const last = outcomes.at(-1);
    if (last?.[0] !== outcome || last[1] !== inside) outcomes.push([outcome, inside]);
  }
}

describe("an image that is deleted", () => {
  it("at any moment of its deploy is gone before the deploy is accepted, or stays", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newImage();
      return { first: () => deploy(image), second: () => remove(image) };
    });
    expect(outcomes).toEqual([["IMAGE_INCOMPLETE", 202]]);
  });

  it("stays when its deploy is accepted at any moment of the delete, and that says so", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newImage();
      return { first: () => remove(image), second: () => deploy(image) };
    });
    expect(outcomes).toEqual([
      [409, "accepted"],
      [202, "IMAGE_INCOMPLETE"],
    ]);
  });

  const indexOf = async ({ digest }: ImageReference) => {
    const { images } = test.platform.services;
    const child = { mediaType: MediaType.manifest, digest, size: (await images.readBlob(digest)).length };
    return jsonBytes({ schemaVersion: 2, mediaType: MediaType.index, manifests: [child] });
  };

  it("at any moment of a push of an index that names it is gone before, or stays", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newImage();
      const index = await indexOf(image);
      const put = () => call("PUT", `/v2/index/manifests/n${made}`, index, MediaType.index);
      return { first: put, second: () => remove(image) };
    });
    expect(outcomes).toEqual([
      [400, 202],
      [201, 409],
    ]);
  });

  it("stays when an index that names it comes at any moment of the delete", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newImage();
      const index = await indexOf(image);
      const put = () => call("PUT", `/v2/index/manifests/n${made}`, index, MediaType.index);
      return { first: () => remove(image), second: put };
    });
    expect(outcomes).toEqual([
      [409, 201],
      [202, 400],
    ]);
  });

  it("is stored again by a push of it at that moment, under its name", async () => {
    const { images } = test.platform.services;
    const outcomes = await atEachMoment(async () => {
      const image = await newImage();
      const bytes = await images.readBlob(image.digest);
      await readManifest(images, image.digest);
      const put = () => call("PUT", `/v2/again/manifests/n${made}`, bytes, MediaType.manifest);
      return { first: put, second: () => remove(image) };
    });
    expect(outcomes).toEqual([[201, 202]]);
  });
});

describe("the removal of what no revision needs", () => {
  const newOldImage = async () => {
    for (const app of test.platform.services.store.all()) await test.client.deleteApp(app);
    const image = await newImage();
    age();
    return image;
  };
  const collect = () => test.platform.services.garbage.collect({ keptMs: RECENT_MS }).then(() => "collected");

  it("at any moment of a deploy leaves the image, or the deploy is refused", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newOldImage();
      return { first: () => deploy(image), second: collect };
    });
    expect(new Set(outcomes.map(([deployed]) => deployed))).toEqual(new Set(["accepted", "IMAGE_INCOMPLETE"]));
  });

  it("leaves the image of a deploy at any moment of it", async () => {
    const outcomes = await atEachMoment(async () => {
      const image = await newOldImage();
      return { first: collect, second: () => deploy(image) };
    });
    expect(outcomes).toEqual([
      ["collected", "accepted"],
      ["collected", "IMAGE_INCOMPLETE"],
    ]);
  });
});

it("malfunctions are none of it: nothing was reported", () => {
  expect(test.reports).toEqual([]);
});
