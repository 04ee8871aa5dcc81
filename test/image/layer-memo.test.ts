import { Buffer } from "node:buffer";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { packApp } from "../../src/image/app-image.ts";
import { writeLayer } from "../../src/image/layer.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { folder } from "./support.ts";

const files = [{ path: "a.mjs", bytes: Buffer.from("export const a = 1;\n".repeat(500)) }];

it("what an archive was compressed to is looked up, as long as the layout has it and the note is whole", async () => {
  const layout = new OciLayout(join(await folder(), "layout"));
  const first = await packApp(files, layout);
  const notes = join(layout.dir, "compressed", "v1-4");
  const note = join(notes, first.diffId.slice("sha256:".length));
  expect(await readdir(notes)).toHaveLength(1);

  // A note that leads to another blob is followed: nothing was compressed then.
  const other = await layout.writeBlob(Buffer.from("other"));
  await writeFile(note, JSON.stringify(other));
  expect((await packApp(files, layout)).descriptor.digest).toBe(other.digest);

  await rm(layout.blobPath(other.digest));
  expect(await packApp(files, layout)).toEqual(first);
  for (const torn of ["", '{"digest":', "null", '{"digest":"../../x","size":1}']) {
    await writeFile(note, torn);
    expect(await packApp(files, layout)).toEqual(first);
    expect(JSON.parse(await readFile(note, "utf8")).digest).toBe(first.descriptor.digest);
  }
});

it("a layer is the same whether it was looked up, packed in memory or packed as a stream", async () => {
  const entries = [
    { type: "directory" as const, path: "app" },
    ...files.map(({ path, bytes }) => ({ type: "file" as const, path: `app/${path}`, content: bytes })),
  ];
  const stream = await writeLayer(new OciLayout(join(await folder(), "l")), entries, { role: "app", level: 4 });
  expect(await packApp(files, new OciLayout(join(await folder(), "l")))).toEqual(stream);
});
