import { Buffer } from "node:buffer";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BOM_TYPE, billOfMaterials } from "../../src/image/bill-of-materials.ts";
import { buildEnvironment, planEnvironment } from "../../src/image/environment-image.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf, jsonBytes, type Manifest } from "../../src/oci/model.ts";
import { attachReferrer } from "../../src/oci/referrer.ts";
import { emptyLock, type PackageLock } from "../../src/packages/lockfiles/package-lock.ts";
import type { NpmTarget } from "../../src/packages/npm-target.ts";
import { buildAppImage } from "./build-app-image.ts";
import { contextIn, folder, installed, npmEnv, run } from "./support.ts";

const linux: NpmTarget = { os: "linux", cpu: "x64", libc: "glibc" };
const bytes = Buffer.alloc(64, 0xab);

const lock: PackageLock = {
  name: "x",
  lockfileVersion: 3,
  requires: true,
  packages: {
    "": { dependencies: { tree: "1", "@corp/tool": "1" }, optionalDependencies: { foreign: "1" } },
    "node_modules/@corp/tool": { version: "1.0.0", integrity: `sha512-${bytes.toString("base64")}` },
    "node_modules/foreign": { version: "1.0.0", os: ["plan9"], dependencies: { leaf: "2" } },
    "node_modules/leaf": { version: "2.0.0" },
    "node_modules/tree": { version: "1.0.0", dependencies: { leaf: "1" }, peerDependencies: { "@corp/tool": "1" } },
    "node_modules/tree/node_modules/leaf": { version: "1.0.0", integrity: "md5-AAAA" },
  },
};
const contents = [
  { name: "hono", version: "4.13.19+build" },
  { name: "leaf", version: "2.0.0" },
];
const bill = () => billOfMaterials({ name: "web", contents, lock, platform: linux });

/** What the CycloneDX 1.6 schema demands of the parts that are used here. */
function expectValid(value: unknown) {
  const { components, dependencies, metadata, ...head } = JSON.parse(JSON.stringify(value));
  expect(head).toEqual({
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    serialNumber: expect.stringMatching(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    ),
  });
  expect(Object.keys(metadata).sort()).toEqual(["component", "tools"]);
  const refs = [metadata.component["bom-ref"], ...components.map((item: Record<string, unknown>) => item["bom-ref"])];
  expect(new Set(refs).size, "every bom-ref is there once").toBe(refs.length);
  const known = ["type", "bom-ref", "group", "name", "version", "purl", "hashes", "properties"];
  for (const component of components) {
    expect(Object.keys(component).filter((key) => !known.includes(key))).toEqual([]);
    expect(component).toMatchObject({ type: "library", name: expect.stringMatching(/./) });
    for (const { alg, content } of component.hashes ?? []) {
      expect(alg).toMatch(/^(?:MD5|SHA-1|SHA-256|SHA-384|SHA-512)$/);
      expect(content).toMatch(/^(?:[a-f0-9]{32}|[a-f0-9]{40}|[a-f0-9]{64}|[a-f0-9]{96}|[a-f0-9]{128})$/);
    }
  }
  for (const { ref, dependsOn } of dependencies) {
    for (const name of [ref, ...dependsOn]) expect(refs).toContain(name);
    expect(new Set(dependsOn).size).toBe(dependsOn.length);
  }
}

describe("billOfMaterials", () => {
  it("lists what is in the bundle and in the packages layer, each once, with where it is", () => {
    const made = bill();
    expectValid(made);
    const lines = made.components.map(({ purl, properties }) =>
      [purl, ...properties.map(({ value }) => value)].join(" "),
    );
    expect(lines).toEqual([
      "pkg:npm/%40corp/tool@1.0.0 packages",
      "pkg:npm/hono@4.13.19%2Bbuild app",
      "pkg:npm/leaf@1.0.0 packages",
      "pkg:npm/leaf@2.0.0 app packages",
      "pkg:npm/tree@1.0.0 packages",
    ]);
    expect(made.components[0]).toMatchObject({
      group: "@corp",
      name: "tool",
      hashes: [{ alg: "SHA-512", content: bytes.toString("hex") }],
    });
    // A digest of a kind that the format has no word for is left out.
    expect(made.components[2]).not.toHaveProperty("hashes");
  });

  it("says what needs what, as Node finds it", () => {
    expect(bill().dependencies).toEqual([
      { ref: "pkg:npm/%40corp/tool@1.0.0", dependsOn: [] },
      { ref: "pkg:npm/hono@4.13.19%2Bbuild", dependsOn: [] },
      { ref: "pkg:npm/leaf@1.0.0", dependsOn: [] },
      { ref: "pkg:npm/leaf@2.0.0", dependsOn: [] },
      { ref: "pkg:npm/tree@1.0.0", dependsOn: ["pkg:npm/%40corp/tool@1.0.0", "pkg:npm/leaf@1.0.0"] },
      {
        ref: "web",
        dependsOn: [
          "pkg:npm/%40corp/tool@1.0.0",
          "pkg:npm/hono@4.13.19%2Bbuild",
          "pkg:npm/leaf@2.0.0",
          "pkg:npm/tree@1.0.0",
        ],
      },
    ]);
  });

  it("is the same to the byte for the same content, in whatever order it comes, and another for other content", () => {
    const reversed = { ...lock, packages: Object.fromEntries(Object.entries(lock.packages).reverse()) };
    const again = billOfMaterials({ name: "web", contents: [...contents].reverse(), lock: reversed, platform: linux });
    expect(jsonBytes(again).equals(jsonBytes(bill()))).toBe(true);
    const other = billOfMaterials({ name: "web", contents: contents.slice(1), lock, platform: linux });
    expect(other.serialNumber).not.toBe(bill().serialNumber);
    const elsewhere = billOfMaterials({ name: "web", contents, lock, platform: { os: "plan9", cpu: "x64" } });
    expect(elsewhere.components.map(({ name }) => name)).toContain("foreign");
  });

  it("is valid when nothing but the app's own code ships", () => {
    const none = billOfMaterials({ name: "web", contents: [], lock: emptyLock().lock, platform: linux });
    expectValid(none);
    expect(none).toMatchObject({ components: [], dependencies: [{ ref: "web", dependsOn: [] }] });
  });
});

describe("a referrer", () => {
  async function appImage() {
    const dir = await folder();
    const layout = new OciLayout(join(dir, "layout"));
    const context = contextIn(dir, npmEnv(dir));
    const plan = await planEnvironment({ name: "team/web" }, context);
    const environment = await buildEnvironment(plan, layout, context);
    const files = [{ path: "a.mjs", bytes: Buffer.from("1") }];
    return { layout, image: await buildAppImage({ environment, files, config: {}, layout }) };
  }

  it("names the image as its subject and is found by the tag of the image's digest", async () => {
    const { layout, image } = await appImage();
    const made = await attachReferrer(layout, image, BOM_TYPE, jsonBytes(bill()));
    expect(made.fallback.reference).toBe(`team/web:sha256-${image.digest.slice("sha256:".length)}`);
    expect(await layout.resolve(made.fallback.reference)).toEqual(made.fallback.descriptor);
    const index = await layout.readJson(made.fallback.descriptor.digest);
    expect(index).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [made.descriptor],
    });
    expect(made.descriptor.artifactType).toBe(BOM_TYPE);
    const manifest = await layout.readJson<Manifest>(made.descriptor.digest);
    expect(manifest).toMatchObject({ artifactType: BOM_TYPE, subject: image.descriptor });
    // The digest of "{}", as the specification gives it.
    expect(manifest.config.digest).toBe("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    expect(await layout.readJson(manifest.layers[0]?.digest ?? "")).toEqual(JSON.parse(JSON.stringify(bill())));
    expect(await layout.missing(made.blobs.map(({ digest }) => digest))).toEqual([]);
  });

  it("takes the place of an earlier one of its type, beside those of other types", async () => {
    const { layout, image } = await appImage();
    await attachReferrer(layout, image, BOM_TYPE, Buffer.from("{}"));
    const signature = await attachReferrer(layout, image, "application/x-signature", Buffer.from("s"));
    const made = await attachReferrer(layout, image, BOM_TYPE, jsonBytes(bill()));
    expect(await attachReferrer(layout, image, BOM_TYPE, jsonBytes(bill()))).toEqual(made);
    const { manifests } = await layout.readJson<{ manifests: object[] }>(made.fallback.descriptor.digest);
    expect(manifests).toHaveLength(2);
    expect(manifests).toEqual(expect.arrayContaining([made.descriptor, signature.descriptor]));
  });

  it("leaves the layout one that skopeo reads, the list of referrers too", async ({ skip }) => {
    if (!installed("skopeo")) skip();
    const { layout, image } = await appImage();
    const { fallback } = await attachReferrer(layout, image, BOM_TYPE, jsonBytes(bill()));
    const raw = async (reference: string) =>
      (await run("skopeo", ["inspect", "--raw", `oci:${layout.dir}:${reference}`], { encoding: "buffer" })).stdout;
    expect(digestOf(await raw(fallback.reference))).toBe(fallback.descriptor.digest);
    expect(digestOf(await raw(image.reference))).toBe(image.digest);
  });
});
