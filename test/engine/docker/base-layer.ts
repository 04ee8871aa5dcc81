/** A base image's one layer, made of this machine's own Node, shell and libraries: nothing has to be downloaded. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { gzip } from "../../../src/oci/archive/gzip.ts";
import { type TarEntry, tar } from "../../../src/oci/archive/tar.ts";
import type { OciLayout } from "../../../src/oci/layout.ts";
import { type Descriptor, MediaType } from "../../../src/oci/model.ts";

/** A layer in a layout. */
export interface BaseLayer {
  descriptor: Descriptor;
  diffId: string;
}

const PROGRAMS = { "bin/node": process.execPath, "bin/sh": "/bin/sh", "bin/sleep": "/bin/sleep" };

/** What there is when only a shell is needed: it is packed in a moment. */
export const SHELL_ALONE = { "bin/sh": "/bin/sh" };

/** Puts the layer into the layout. */
export async function writeBaseLayer(
  layout: OciLayout,
  programs: Readonly<Record<string, string>> = PROGRAMS,
): Promise<BaseLayer> {
  const hash = createHash("sha256");
  async function* hashed() {
    for await (const chunk of tar(entries(programs))) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const blob = await layout.writeBlobStream(gzip(hashed(), 1));
  return { descriptor: { mediaType: MediaType.layer, ...blob }, diffId: `sha256:${hash.digest("hex")}` };
}

function entries(programs: Readonly<Record<string, string>>): TarEntry[] {
  const files = new Map<string, string>(Object.entries(programs));
  for (const program of Object.values(programs)) {
    for (const library of librariesOf(program)) files.set(library.slice(1), library);
  }
  const text = (path: string, content: string): TarEntry => ({ type: "file", path, content: Buffer.from(content) });
  return [
    ...[...files].map(([path, source]): TarEntry => {
      const file = realpathSync(source);
      return { type: "file", path, executable: true, content: { file, size: statSync(file).size } };
    }),
    text("etc/passwd", "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/bin/sh\n"),
    text("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
    ...["app", "dev", "proc", "sys"].map((path): TarEntry => ({ type: "directory", path })),
  ];
}

/** Absolute paths, as the program names them. */
function librariesOf(program: string): string[] {
  const listed = execFileSync("ldd", [realpathSync(program)], { encoding: "utf8" });
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}
