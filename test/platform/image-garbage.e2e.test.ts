/** What the platform removes of images, on a real platform with the real engine, and what it must not. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { DeploymentEvent, ImageReference } from "../../src/contract/types.ts";
import { hexOf } from "../../src/oci/model.ts";
import { get } from "../e2e/harness.ts";
import { programImage, programSpec, refOf, server, startPlatform, type TestPlatform } from "../support/in-process.ts";
import { resolveImage } from "../support/resolve-image.ts";

const HOUR = 3600_000;
let test: TestPlatform;
const start = async () => {
  test = await startPlatform();
};
afterEach(() => test?.close());

/** Makes everything that is stored and unpacked two hours older. */
function age(): void {
  const old = new Date(Date.now() - 2 * HOUR);
  for (const dir of ["images/blobs/sha256", "content", "content/layers"].map((name) => join(test.dir, "state", name))) {
    for (const name of existsSync(dir) ? readdirSync(dir) : []) utimesSync(join(dir, name), old, old);
  }
}

async function deploy(name: string, image: ImageReference): Promise<string> {
  const { id } = await test.client.applyApp(refOf(name), programSpec(name), image, crypto.randomUUID());
  let last: DeploymentEvent | undefined;
  for await (const event of test.client.follow(refOf(name), id, 0)) last = event;
  expect(last?.type).toBe("succeeded");
  return (await test.client.getApp(refOf(name))).endpoint;
}

const stored = ({ digest }: ImageReference) => existsSync(test.platform.services.images.blobPath(digest));
const unpacked = ({ digest }: ImageReference) => existsSync(join(test.dir, "state", "content", hexOf(digest)));

it("what packages came to is kept for three months after its last use", async () => {
  await start();
  const dir = join(test.dir, "state", "builds", "locks");
  mkdirSync(dir, { recursive: true });
  for (const [name, days] of [
    ["old.json", 91],
    ["older.json", 400],
    ["kept.json", 89],
  ] as const) {
    writeFileSync(join(dir, name), "{}");
    const used = new Date(Date.now() - days * 24 * HOUR);
    utimesSync(join(dir, name), used, used);
  }
  await test.client.pruneImages(true);
  expect(readdirSync(dir)).toHaveLength(3);
  await test.client.pruneImages(false);
  expect(readdirSync(dir)).toEqual(["kept.json"]);
});

describe("images that no revision needs", () => {
  it("are removed with what was unpacked of them; every revision that is kept can still be run", async () => {
    await start();
    const [first, second, other] = [
      await programImage(test, server("first")),
      await programImage(test, server("second")),
      await programImage(test, server("other")),
    ];
    const endpoint = await deploy("stays", first);
    await deploy("stays", second);
    await deploy("goes", other);
    await test.client.deleteApp(refOf("goes"));
    age();
    const dry = await test.client.pruneImages(true);
    expect([dry.images, stored(other), unpacked(other)]).toEqual([[other.reference], true, true]);
    expect(await test.client.pruneImages(false)).toEqual(dry);
    expect(dry.bytes).toBeGreaterThan(0);
    expect([stored(other), unpacked(other)]).toEqual([false, false]);
    expect([first, second].map((image) => [stored(image), unpacked(image)])).toEqual([
      [true, true],
      [true, true],
    ]);
    const { id } = await test.client.setTraffic(refOf("stays"));
    for await (const _ of test.client.follow(refOf("stays"), id, 0));
    expect((await get(`${endpoint}/`)).body).toBe("first");
    expect((await test.client.listImages()).map(({ tag }) => tag)).toContain(first.reference.split(":")[1]);
    expect(await test.client.pruneImages(false)).toEqual({ images: [], blobs: 0, bytes: 0 });
  });

  it("stay for an hour after a CLI was told that they are there, so that its deploy finds them", async () => {
    await start();
    const image = await programImage(test, server("soon"));
    age();
    expect((await test.client.pruneImages(true)).images).toContain(image.reference);
    // What a deploy asks before it hands the image over.
    expect((await resolveImage(test.client, image.reference))?.digest).toBe(image.digest);
    expect((await test.client.pruneImages(false)).images).not.toContain(image.reference);
    expect((await get(`${await deploy("soon", image)}/`)).body).toBe("soon");
    const listed = (await test.client.listImages()).find(({ digest }) => digest === image.digest);
    // That it was asked for makes it no younger.
    expect(Date.parse(listed?.createdAt ?? "")).toBeLessThan(Date.now() - HOUR);
  });

  it("are all left when a needed one is damaged, and the answer says which", async () => {
    await start();
    const [needed, other] = [await programImage(test, server("needed")), await programImage(test, server("other"))];
    const endpoint = await deploy("needed", needed);
    writeFileSync(test.platform.services.images.blobPath(needed.digest), "{}");
    age();
    await expect(test.client.pruneImages(false)).rejects.toMatchObject({
      code: "IMAGE_DAMAGED",
      message: expect.stringContaining(needed.digest),
    });
    expect([stored(other), unpacked(needed)]).toEqual([true, true]);
    expect((await get(`${endpoint}/`)).body).toBe("needed");
    expect(test.reports.join()).toContain(`the manifest ${needed.digest} is damaged`);
  });

  it("do not take the images of deploys with them that go on meanwhile", async () => {
    await start();
    const texts = Array.from({ length: 6 }, (_, index) => `app-${index}`);
    const images = await Promise.all(texts.map((text) => programImage(test, server(text))));
    age();
    let done = false;
    const prunes = (async () => {
      let count = 0;
      for (; !done; count++) await test.client.pruneImages(false);
      return count;
    })();
    // As a CLI does it: what is missing is sent, or made again, before the image is handed over.
    const deploys = texts.map(async (text, index) => {
      let image = images[index] as ImageReference;
      if (!(await resolveImage(test.client, image.reference))) image = await programImage(test, server(text));
      return (await get(`${await deploy(text, image)}/`)).body;
    });
    expect(await Promise.all(deploys)).toEqual(texts);
    done = true;
    expect(await prunes).toBeGreaterThan(0);
  });
});
