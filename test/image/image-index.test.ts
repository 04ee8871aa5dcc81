import { Buffer } from "node:buffer";
import { expect, it } from "vitest";
import { writeIndex } from "../../src/image/image-index.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { type ImageIndex, MediaType } from "../../src/oci/model.ts";
import { npmTarget } from "../../src/packages/npm-target.ts";
import { folder } from "./support.ts";

it("an index names its images by their platforms, whatever the order in which they were made", async () => {
  const layout = new OciLayout(await folder());
  const imageFor = async (architecture: string, environment: string) => {
    const blob = await layout.writeBlob(Buffer.from(architecture));
    return {
      platform: npmTarget({ os: "linux", architecture }, "glibc"),
      image: {
        reference: `team/web:${environment}-0123456789ab`,
        descriptor: { mediaType: MediaType.manifest, ...blob, annotations: { of: "its own" } },
      },
    };
  };
  const [arm, amd] = [await imageFor("arm64", "one"), await imageFor("amd64", "two")];
  const index = await writeIndex([arm, amd], layout);
  expect(await writeIndex([amd, arm], layout)).toEqual(index);
  expect(index.reference).toMatch(/^team\/web:[\w-]{22}-0123456789ab$/);
  const { mediaType, digest, size } = arm.image.descriptor;
  const { manifests } = await layout.readJson<ImageIndex>(index.descriptor.digest);
  expect(manifests[1]).toEqual({ mediaType, digest, size, platform: { os: "linux", architecture: "arm64" } });
  const other = await writeIndex([amd, await imageFor("arm64", "three")], layout);
  expect(other.tag).not.toBe(index.tag);
});
