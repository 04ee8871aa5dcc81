import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf, MediaType } from "../../src/oci/model.ts";
import { failureOf, folder } from "../image/support.ts";
import { asOther, mayActAsOther } from "../support/other-user.ts";

const layoutModule = pathToFileURL(join(import.meta.dirname, "../../src/oci/layout.ts")).href;
const content = Buffer.from("content");
const other = digestOf("other");

async function layoutWithBlob() {
  const layout = new OciLayout(join(await folder(), "layout"));
  const { digest, size } = await layout.writeBlob(content);
  return { layout, digest, descriptor: { mediaType: MediaType.manifest, digest, size } };
}

function nodeWith(script: string) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  return spawn(process.execPath, ["--input-type=module", "-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
}

describe("OciLayout", () => {
  it("stores a blob under its digest and reads it back", async () => {
    const { layout, digest } = await layoutWithBlob();
    expect(await layout.readBlob(digest)).toEqual(content);
    expect(await layout.hasBlob(digest)).toBe(true);
    expect(await layout.hasBlob(digest, content.length + 1)).toBe(false);
    expect(await layout.missing([other, digest, other])).toEqual([other]);
    expect(JSON.parse(await readFile(join(layout.dir, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
    expect((await stat(layout.dir)).mode & 0o777).toBe(0o700);
  });

  it("says which blob is damaged or not there, and takes a damaged one aside, so that it can be had again", async () => {
    const { layout, digest } = await layoutWithBlob();
    await writeFile(layout.blobPath(digest), "c0ntent");
    const damaged = await failureOf(layout.readBlob(digest));
    expect(damaged.code).toBe("BLOB_DAMAGED");
    expect(damaged.message).toContain(digest);
    const aside = join(layout.dir, "damaged", digest.slice("sha256:".length));
    expect(damaged.message).toContain(aside);
    expect(await readFile(aside, "utf8")).toBe("c0ntent");
    expect(await layout.missing([digest])).toEqual([digest]);
    await layout.writeBlob(content);
    expect(await layout.readBlob(digest)).toEqual(content);
    expect((await failureOf(layout.readBlob(other))).code).toBe("BLOB_NOT_FOUND");
  });

  it.each(["sha256:../../etc/passwd", "md5:00", "", `sha256:${"A".repeat(64)}`])(
    "takes no %j for a digest",
    async (digest) => {
      const { layout } = await layoutWithBlob();
      expect((await failureOf(layout.readBlob(digest))).code).toBe("INVALID_DIGEST");
    },
  );

  it("keeps nothing of a stream that is not what was announced, is too large, or breaks off", async () => {
    const { layout, digest } = await layoutWithBlob();
    async function* broken() {
      yield content;
      throw new Error("cut off");
    }
    async function* endless() {
      for (;;) yield content;
    }
    expect((await failureOf(layout.writeBlobStream([Buffer.from("not it")], other))).code).toBe("DIGEST_MISMATCH");
    expect((await failureOf(layout.writeBlobStream(endless(), undefined, 1000))).code).toBe("BLOB_TOO_LARGE");
    await expect(layout.writeBlobStream(broken())).rejects.toThrow("cut off");
    expect(await readdir(join(layout.dir, ".tmp"))).toEqual([]);
    expect(await readdir(join(layout.dir, "blobs", "sha256"))).toEqual([digest.slice(7)]);
    expect((await layout.writeBlobStream([content], digest, content.length)).digest).toBe(digest);
  });

  it("moves a reference, and lists references in order", async () => {
    const { layout, descriptor } = await layoutWithBlob();
    const second = { ...descriptor, ...(await layout.writeBlob(Buffer.from("second"))) };
    for (const reference of ["b:1", "a/x:1", "b:1"]) await layout.tag(reference, descriptor);
    await layout.tag("b:1", second);
    expect(await layout.resolve("b:1")).toEqual(second);
    expect(await layout.resolve("b:2")).toBeUndefined();
    expect((await layout.references()).map(({ reference }) => reference)).toEqual(["a/x:1", "b:1"]);
    expect((await failureOf(layout.tag("c:1", { ...descriptor, digest: other }))).code).toBe("BLOB_NOT_FOUND");
  });

  it.each(["a", "a:", ":b", "a:-b", "a:b-", "a b:c", "a:b/c", "a__b:c", "/a:b"])(
    "takes no %j for a reference",
    async (reference) => {
      const { layout, descriptor } = await layoutWithBlob();
      expect((await failureOf(layout.tag(reference, descriptor))).code).toBe("INVALID_REFERENCE");
    },
  );

  it("an empty or missing layout has no references", async () => {
    expect(await new OciLayout(join(await folder(), "none")).references()).toEqual([]);
  });

  it("loses no tag when several processes and several calls tag at once", async () => {
    const { layout, descriptor } = await layoutWithBlob();
    const script = (who: number) => `
      const { OciLayout } = await import(${JSON.stringify(layoutModule)});
      const layout = new OciLayout(${JSON.stringify(layout.dir)});
      await Promise.all(Array.from({ length: 15 }, (_, i) => layout.tag("p${who}:t" + i, ${JSON.stringify(descriptor)})));`;
    const codes = await Promise.all([0, 1, 2, 3].map(async (who) => (await once(nodeWith(script(who)), "exit"))[0]));
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(await layout.references()).toHaveLength(60);
  });

  it("is not blocked by a process that was killed while it held the lock", async () => {
    const { layout, descriptor } = await layoutWithBlob();
    await layout.tag("a:1", descriptor);
    const holder = nodeWith(`
      const { DatabaseSync } = await import("node:sqlite");
      const lock = new DatabaseSync(${JSON.stringify(join(layout.dir, ".lock"))});
      lock.exec("BEGIN EXCLUSIVE");
      process.stdout.write("held");
      setInterval(() => lock.isOpen, 1000);`);
    await once(holder.stdout, "data");
    const exit = once(holder, "exit");
    holder.kill("SIGKILL");
    await exit;
    await layout.tag("b:1", descriptor);
    expect(await layout.references()).toHaveLength(2);
  });

  it.each(["{", "null", '{"manifests":{}}', '{"manifests":[1]}'])(
    "puts an index aside that is damaged, as %j is, and loses the names alone",
    async (text) => {
      const { layout, descriptor } = await layoutWithBlob();
      await layout.tag("lost:1", descriptor);
      await writeFile(join(layout.dir, "index.json"), text);
      expect(await layout.references()).toEqual([]);
      await layout.tag("a:1", descriptor);
      expect((await layout.references()).map(({ reference }) => reference)).toEqual(["a:1"]);
      const [aside, ...others] = await readdir(join(layout.dir, "damaged"));
      expect(others).toEqual([]);
      expect(await readFile(join(layout.dir, "damaged", aside ?? ""), "utf8")).toBe(text);
    },
  );

  it("makes a damaged lock again", async () => {
    const { layout, descriptor } = await layoutWithBlob();
    await layout.tag("a:1", descriptor);
    expect((await stat(join(layout.dir, ".lock"))).size).toBe(0);
    await writeFile(join(layout.dir, ".lock"), "no lock at all");
    await Promise.all(["b:1", "c:1"].map((name) => layout.tag(name, descriptor)));
    expect((await layout.references()).map(({ reference }) => reference).sort()).toEqual(["a:1", "b:1", "c:1"]);
    expect((await stat(join(layout.dir, ".lock"))).size).toBe(0);
  });

  it.skipIf(!mayActAsOther())(
    "says of a folder that cannot be used where it is, whatever is wrong with it",
    async () => {
      const { layout } = await layoutWithBlob();
      await chmod(join(layout.dir, ".."), 0o755);
      await chmod(layout.dir, 0o700);
      const closed = await asOther(() => failureOf(layout.references()));
      expect(closed).toMatchObject({ code: "NOT_WRITABLE", exit: 6, message: expect.stringContaining(layout.dir) });
      await writeFile(`${layout.dir}-file`, "");
      const inPlace = new OciLayout(join(`${layout.dir}-file`, "images"));
      expect(await inPlace.references()).toEqual([]);
      const hint = expect.stringContaining("XDG_CACHE_HOME");
      expect(await failureOf(inPlace.writeBlob(content))).toMatchObject({ code: "NOT_WRITABLE", exit: 6, hint });
    },
  );
});
