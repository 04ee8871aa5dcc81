import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { chmod, lstat, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { treeEntries } from "../../../src/image/layer.ts";
import { gzip } from "../../../src/oci/archive/gzip.ts";
import { type TarEntry, tar } from "../../../src/oci/archive/tar.ts";
import { readTar } from "../../../src/oci/archive/tar-reader.ts";
import { folder, run } from "../../image/support.ts";

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const long = `${"a-directory-with-a-name/".repeat(9)}file-with-a-name.txt`;
const veryLong = `${"d/".repeat(100)}${"n".repeat(200)}`;
const entries: TarEntry[] = [
  { type: "file", path: "b/run", executable: true, content: Buffer.from("#!/bin/sh\n") },
  { type: "file", path: "a.txt", content: Buffer.alloc(513, "x") },
  { type: "file", path: "empty", content: Buffer.alloc(0) },
  { type: "file", path: "names/für-ü.txt", content: Buffer.from("ü") },
  { type: "file", path: long, content: Buffer.from("long") },
  { type: "file", path: veryLong, content: Buffer.from("very long") },
  { type: "symlink", path: "b/link", target: `../${veryLong}` },
  { type: "directory", path: "hollow" },
];

describe("tar", () => {
  it("is unpacked by the system's tar, with names, contents, modes and links", async () => {
    const dir = await folder();
    await writeFile(join(dir, "x.tar"), await collect(tar(entries)));
    await run("tar", ["-xf", "x.tar", "--same-permissions"], { cwd: dir });
    expect(await readFile(join(dir, long), "utf8")).toBe("long");
    expect(await readFile(join(dir, veryLong), "utf8")).toBe("very long");
    expect(await readFile(join(dir, "names/für-ü.txt"), "utf8")).toBe("ü");
    expect(await readFile(join(dir, "b/link"), "utf8")).toBe("very long");
    expect((await lstat(join(dir, "b/run"))).mode & 0o777).toBe(0o755);
    expect((await lstat(join(dir, "a.txt"))).mode & 0o777).toBe(0o644);
    expect((await lstat(join(dir, "a.txt"))).mtimeMs).toBe(0);
    expect((await lstat(join(dir, "b"))).mode & 0o777).toBe(0o755);
    expect(await readdir(join(dir, "hollow"))).toEqual([]);
  });

  it("does not depend on the order of the entries, nor on who owns the files and when they were written", async () => {
    const bytes = await collect(tar(entries));
    expect((await collect(tar([...entries].reverse()))).equals(bytes)).toBe(true);
    const [one, two] = [await folder(), await folder()];
    for (const [dir, mode] of [[one, 0o600] as const, [two, 0o666] as const]) {
      await writeFile(join(dir, "f"), "same");
      await chmod(join(dir, "f"), mode);
      await run("touch", ["-d", dir === one ? "2001-01-01" : "2030-01-01", join(dir, "f")]);
    }
    const of = async (dir: string) => collect(tar(await treeEntries(dir, "app", () => false)));
    expect((await of(one)).equals(await of(two))).toBe(true);
  });

  it("refuses two entries of one path, paths that lead out, and files that are also folders", async () => {
    const file = (path: string): TarEntry => ({ type: "file", path, content: Buffer.alloc(0) });
    await expect(collect(tar([file("a"), file("a")]))).rejects.toThrow("twice");
    await expect(collect(tar([file("a"), file("a/b")]))).rejects.toThrow("a is a file");
    for (const path of ["../x", "/x", "a//b", "./a", ""])
      await expect(collect(tar([file(path)]))).rejects.toThrow("relative");
  });

  it("notices a file that has become shorter", async () => {
    const file = join(await folder(), "f");
    await writeFile(file, "four");
    const entry: TarEntry = { type: "file", path: "f", content: { file, size: 5 } };
    await expect(collect(tar([entry]))).rejects.toThrow("f changed while the image was built");
  });

  it("reads back what it wrote, however the bytes arrive", async () => {
    const name = fc.stringMatching(/^[a-zé漢 _-]{1,130}$/).filter((text) => !["", ".", ".."].includes(text));
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, fc.uint8Array({ maxLength: 1200 })),
        fc.integer({ min: 1, max: 2000 }),
        async (files, piece) => {
          const paths = Object.keys(files).filter(
            (a) => !Object.keys(files).some((b) => a !== b && b.startsWith(`${a}/`)),
          );
          const bytes = await collect(
            tar(paths.map((p) => ({ type: "file", path: p, content: files[p] ?? Buffer.alloc(0) }))),
          );
          const found = new Map<string, string>(); // a file may be called __proto__
          for await (const { header, body } of readTar(inPieces(bytes, piece))) {
            if (header.typeflag === "0") found.set(header.path, (await collect(body)).toString("hex"));
          }
          expect(found).toEqual(new Map(paths.map((p) => [p, Buffer.from(files[p] ?? []).toString("hex")])));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("keeps the target of a link", async () => {
    const dir = await folder();
    await run("ln", ["-s", "../x", "l"], { cwd: dir });
    expect(await treeEntries(dir, "p", () => false)).toEqual([
      { type: "symlink", path: "p/l", target: await readlink(join(dir, "l")) },
    ]);
  });
});

describe("gzip", () => {
  const data = Buffer.concat([
    Buffer.alloc(1 << 20, "abc"),
    Buffer.from(createHash("sha512").update("x").digest()),
    Buffer.alloc(2_500_000, "hello "),
  ]);

  it("gives the same bytes however the input arrives", async () => {
    const whole = await collect(gzip(inPieces(data, data.length), 6));
    for (const piece of [4096, 1 << 20, 999_983]) {
      expect((await collect(gzip(inPieces(data, piece), 6))).equals(whole)).toBe(true);
    }
    expect(gunzipSync(whole).equals(data)).toBe(true);
  });

  it("is one member that says nothing of the time or the system, and the system's gzip reads it", async () => {
    const bytes = await collect(gzip(inPieces(data, 1 << 16), 1));
    expect([...bytes.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    const file = join(await folder(), "x.gz");
    await writeFile(file, bytes);
    const { stdout } = await run("gzip", ["-dc", file], { encoding: "buffer", maxBuffer: 1 << 26 });
    expect(stdout.equals(data)).toBe(true);
  });

  it.each([0, 1, 1 << 20, (1 << 20) + 1, 3 << 20])("takes %i bytes", async (size) => {
    const bytes = Buffer.alloc(size, 7);
    expect(gunzipSync(await collect(gzip(inPieces(bytes, 70_000), 6))).equals(bytes)).toBe(true);
  });
});
