import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { writeEnvironment } from "../../src/image/environment-image.ts";
import { writeIndex } from "../../src/image/image-index.ts";
import { writeLayer } from "../../src/image/layer.ts";
import { collectGarbage } from "../../src/oci/garbage.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { attachReferrer } from "../../src/oci/referrer.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { buildAppImage } from "../image/build-app-image.ts";
import { folder } from "../image/support.ts";

const LATER = Date.now() + 1000 * 3600;

async function setUp() {
  const layout = new OciLayout(await folder());
  const content = (text: string) => [{ type: "file" as const, path: "app/f", content: Buffer.from(text) }];
  const packages = await writeLayer(layout, content("packages"), { role: "packages", level: 1 });
  const plan = { reference: "web:env", platform: hostTarget(), env: {} };
  const environment = await writeEnvironment(plan, [packages], layout);
  const app = (text: string) =>
    buildAppImage({ environment, files: [{ path: "app.mjs", bytes: Buffer.from(text) }], config: {}, layout });
  return { layout, environment, packages, app };
}

const names = async (layout: OciLayout) => (await layout.references()).map(({ reference }) => reference);

describe("collectGarbage", () => {
  it("keeps what is needed with all that it names, and takes the rest, names first", async () => {
    const { layout, packages, app } = await setUp();
    const [kept, gone] = [await app("kept"), await app("gone")];
    const options = { needed: [kept.digest], keepName: (name: string) => name === "web:env", before: LATER };
    const dry = await collectGarbage(layout, { ...options, dryRun: true });
    expect(dry.images).toEqual([gone.reference]);
    expect(await names(layout)).toHaveLength(3);
    const { images, blobs, bytes } = await collectGarbage(layout, options);
    // Its layer, its configuration and its manifest.
    expect([images, blobs, bytes]).toEqual([dry.images, 3, dry.bytes]);
    expect((await names(layout)).sort()).toEqual(["web:env", kept.reference].sort());
    expect(await layout.missing(kept.blobs.map(({ digest }) => digest))).toEqual([]);
    expect(await layout.missing(gone.blobs.map(({ digest }) => digest))).not.toContain(packages.descriptor.digest);
    expect(await layout.hasBlob(gone.digest)).toBe(false);
    expect((await collectGarbage(layout, options)).blobs).toBe(0);
  });

  it("leaves what is young, and takes it when it is not", async () => {
    const { layout, app } = await setUp();
    await app("one");
    const options = { needed: [], keepName: () => false };
    const young = await collectGarbage(layout, { ...options, before: Date.now() - 3600_000 });
    expect([young.images, young.blobs]).toEqual([[], 0]);
    expect((await collectGarbage(layout, { ...options, before: LATER })).images).toHaveLength(2);
    expect(await names(layout)).toEqual([]);
  });

  it("follows an index to its images, and keeps documents about an image as long as that", async () => {
    const { layout, app } = await setUp();
    const image = await app("one");
    const index = await writeIndex([{ platform: hostTarget(), image }], layout);
    const bill = await attachReferrer(layout, image, "application/x", Buffer.from("bill"));
    const other = await attachReferrer(layout, await app("two"), "application/x", Buffer.from("other"));
    await collectGarbage(layout, { needed: [index.descriptor.digest], keepName: () => false, before: LATER });
    expect(await layout.missing(image.blobs.map(({ digest }) => digest))).toEqual([]);
    expect(await layout.missing(bill.blobs.map(({ digest }) => digest))).toEqual([]);
    expect(await names(layout)).toContain(bill.fallback.reference);
    expect(await names(layout)).not.toContain(other.fallback.reference);
    expect(await layout.hasBlob(other.descriptor.digest)).toBe(false);
  });

  it("takes nothing when what is needed cannot be read, and says what", async () => {
    const { layout, app } = await setUp();
    const [needed, other] = [await app("needed"), await app("other")];
    writeFileSync(layout.blobPath(needed.digest), "{}");
    const options = { needed: [needed.digest], keepName: () => false, before: LATER };
    expect(await collectGarbage(layout, options)).toMatchObject({ unreadable: needed.digest, images: [], blobs: 0 });
    expect(await layout.missing(other.blobs.map(({ digest }) => digest))).toEqual([]);
  });
});
