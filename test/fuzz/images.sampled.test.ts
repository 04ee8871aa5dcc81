import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import { LAYER_ROLE } from "../../src/image/layer.ts";
import { unpackApp } from "../../src/image/unpack.ts";
import { extractTar } from "../../src/oci/archive/extract.ts";
import { readTar } from "../../src/oci/archive/tar-reader.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf, MediaType, REF_NAME } from "../../src/oci/model.ts";
import { expectShare, mutated, mutation, piecesOf, runs, Tally } from "./support.ts";

const tally = new Tally();
// In memory, where there is such a place: nothing here is about disks, and each case has folders of its own.
const root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "fi-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;

/** A folder of its own for each case; what is beside it has to stay as it is. */
function place(): { dir: string; check(): void } {
  const around = join(root, String(count++));
  const dir = join(around, "a", "b");
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(around, "sentinel"), "as it was");
  return {
    dir,
    check() {
      expect(readdirSync(around).sort()).toEqual(["a", "sentinel"]);
      expect(readdirSync(join(around, "a"))).toEqual(["b"]);
      rmSync(around, { recursive: true });
    },
  };
}

/** One entry as it is written, right or wrong. */
interface Entry {
  path: string;
  type: string;
  target: string;
  body: Buffer;
  mode: number;
  /** What the header says of the size, when it is not the body's. */
  size: string | undefined;
  /** Records of a pax header before it. */
  pax: [string, string][];
}

const name = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("app", "app/a", "app/b", "app/d", "app/d/e", "app/node_modules", "app/node_modules/x"),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        "",
        ".",
        "..",
        "/",
        "//",
        "/abs",
        "../out",
        "app/../../out",
        "app/..",
        "app/./a",
        "app//a",
        "app/a/",
        "app/d/..",
        "a/../b",
      ],
      ...[
        "/tmp/out",
        "app/.wh.a",
        ".wh..wh..opq",
        "app/a/b",
        "app/é",
        "app/\ud800",
        "app/a\nb",
        "app/\\..\\out",
        "C:\\x",
        "app/ ",
        "~",
      ],
      ...[`app/${"n".repeat(90)}`, "app/d/e/f/g/h/i/j"],
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
);
const target = fc.constantFrom(
  "a",
  "../a",
  "../../a",
  "../../../../etc/passwd",
  "/etc/passwd",
  "",
  ".",
  "..",
  "d/../a",
  "d/../../..",
  "b",
  "\0",
);
const longName = fc.constantFrom(300, 5000, 20_000).map((length) => `app/${"l".repeat(length)}`);
const deepName = fc.constantFrom(100, 3000).map((depth) => `app/${"d/".repeat(depth)}x`);

const entry: fc.Arbitrary<Entry> = fc.record({
  path: name,
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("0", "5", "2") },
    { weight: 1, arbitrary: fc.constantFrom("1", "3", "4", "6", "7", "\0", "L", "K", "S", "g", "x", "V", "N", "\xff") },
  ),
  target,
  body: fc.uint8Array({ maxLength: 700 }).map((bytes) => Buffer.from(bytes)),
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o7777, 0),
  size: fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "77777777777",
        "-1",
        "9",
        "0x10",
        "\x80\0\0\0\xff\xff\xff\xff",
        "1 2",
        "00000000000",
        "",
      ),
    },
  ),
  pax: fc.oneof(
    { weight: 8, arbitrary: fc.constant<[string, string][]>([]) },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.oneof(
          fc.tuple(fc.constant("path"), fc.oneof(name, longName, deepName)),
          fc.tuple(fc.constant("linkpath"), fc.oneof(target, longName)),
          fc.tuple(
            fc.constant("size"),
            fc.constantFrom(
              "0",
              "5",
              "-1",
              "1e3",
              "0x10",
              " 5",
              "NaN",
              "",
              "9007199254740993",
              "99999999999999999999",
              "5.5",
            ),
          ),
          fc.tuple(
            fc.constantFrom(
              "GNU.sparse.major",
              "GNU.sparse.map",
              "SCHILY.xattr.user.x",
              "__proto__",
              "",
              "mtime",
              "hdrcharset",
            ),
            fc.constantFrom("1", "0,512", "BINARY", ""),
          ),
        ),
        { minLength: 1, maxLength: 3 },
      ),
    },
  ),
});

function header(
  path: string,
  type: string,
  size: string,
  { mode, target: link }: Pick<Entry, "mode" | "target">,
): Buffer {
  const block = Buffer.alloc(512);
  block.write(path, 0, 100, "utf8");
  block.write(mode.toString(8).padStart(7, "0"), 100, "latin1");
  block.write(size, 124, 12, "latin1");
  block.write("        ", 148, "latin1");
  block.write(type, 156, 1, "latin1");
  block.write(link, 157, 100, "utf8");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const octal = (size: number) => size.toString(8).padStart(11, "0");
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);

function record(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** An archive of these entries, with sound checksums: what is wrong with it is what they say. */
function archiveOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap((one) => {
    const pax = Buffer.concat(one.pax.map(([key, value]) => record(key, value)));
    const before = pax.length === 0 ? [] : [header("PaxHeader", "x", octal(pax.length), one), padded(pax)];
    const body = one.type === "0" || one.type === "\0" ? one.body : Buffer.alloc(0);
    return [...before, header(one.path, one.type, one.size ?? octal(body.length), one), padded(body)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

type Harm = (bytes: Buffer) => Buffer;
/** Changes to bytes that know nothing of what they mean. */
const harm: fc.Arbitrary<Harm> = fc.oneof(
  fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 })).map(
    ([at, bit]): Harm =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        if (copy.length > 0) copy[at % copy.length] = (copy[at % copy.length] as number) ^ (1 << bit);
        return copy;
      },
  ),
  fc.nat().map(
    (at): Harm =>
      (bytes) =>
        bytes.subarray(0, at % (bytes.length + 1)),
  ),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 })).map(
    ([at, more]): Harm =>
      (bytes) => {
        const from = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, from), more, bytes.subarray(from)]);
      },
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 3 })).map(
    ([at, blocks]): Harm =>
      (bytes) => {
        const from = 512 * (at % (Math.floor(bytes.length / 512) + 1));
        return Buffer.concat([bytes.subarray(0, from + 512 * blocks), bytes.subarray(from)]);
      },
  ),
  fc.uint8Array({ maxLength: 600 }).map(
    (more): Harm =>
      (bytes) =>
        Buffer.concat([bytes, more]),
  ),
);
const harms = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Harm[]>([]) },
  { weight: 1, arbitrary: fc.array(harm, { minLength: 1, maxLength: 3 }) },
);
const damagedBy = (bytes: Buffer, changes: readonly Harm[]) => changes.reduce((before, apply) => apply(before), bytes);
const entries = fc.array(entry, { maxLength: 6 });

async function* streamOf(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  yield* piecesOf(bytes, cuts);
}

describe("malformed archives", () => {
  it("are read to their end or refused", async () => {
    await fc.assert(
      fc.asyncProperty(entries, harms, fc.array(fc.nat(), { maxLength: 3 }), async (made, changes, cuts) => {
        tally.add();
        const bytes = damagedBy(archiveOf(made), changes);
        let total = 0;
        try {
          for await (const { header: head, body } of readTar(streamOf(bytes, cuts))) {
            let size = 0;
            for await (const piece of body) size += piece.length;
            expect(size).toBe(head.size);
            total += size;
          }
          expect(total).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect((error as Error).message).toMatch(/^tar: /);
        }
      }),
      { ...runs(6000), timeout: 20_000 },
    );
  });

  it("write nothing outside of their folder", async () => {
    await fc.assert(
      fc.asyncProperty(entries, harms, async (made, changes) => {
        tally.add();
        const { dir, check } = place();
        try {
          await extractTar(streamOf(damagedBy(archiveOf(made), changes), []), dir, {
            maxBytes: 1 << 20,
            maxEntries: 10_000,
          });
        } catch (error) {
          expect((error as Error).message).toMatch(/^(?:tar: |the archive has )/);
        }
        check();
      }),
      { ...runs(3000), timeout: 20_000 },
    );
  });
});

const put = (layout: OciLayout, bytes: Buffer, digest = digestOf(bytes)) => {
  const hex = digest.slice("sha256:".length);
  if (/^[0-9a-f]{64}$/.test(hex)) writeFileSync(layout.blobPath(digest), bytes);
  return digest;
};

function newLayout(dir: string): OciLayout {
  mkdirSync(join(dir, "layout", "blobs", "sha256"), { recursive: true });
  return new OciLayout(join(dir, "layout"));
}

const file = (path: string, text = "x"): Entry => ({
  path,
  type: "0",
  target: "",
  body: Buffer.from(text),
  mode: 0o644,
  size: undefined,
  pax: [],
});
const folder = (path: string): Entry => ({ ...file(path), type: "5", body: Buffer.alloc(0) });

/** What unpacking may leave in the content directory: whole folders under the names of their digests, or nothing. */
function expectWhole(content: string, succeeded: boolean): void {
  const names = readdirSync(content);
  expect(readdirSync(join(content, ".tmp"))).toEqual([]);
  const homes = names.filter((one) => one !== ".tmp" && one !== "layers");
  expect(homes.length).toBe(succeeded ? 1 : 0);
}

describe("malformed images", () => {
  it("are unpacked whole or refused with a code, and leave nothing half done", async () => {
    const documents = fc.record({
      manifest: fc.array(mutation, { maxLength: 2 }),
      config: fc.array(mutation, { maxLength: 2 }),
      app: entries,
      packages: fc.option(entries),
      sound: fc.boolean(),
      bare: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      blobs: fc.array(fc.tuple(fc.nat(3), harm), { maxLength: 1 }),
      gzipped: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      truth: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    });
    await fc.assert(
      fc.asyncProperty(documents, async (made) => {
        tally.add();
        const { dir, check } = place();
        const layout = newLayout(dir);
        const start = made.bare ? [] : [folder("app"), file("app/serve.mjs")];
        const app = [...start, ...(made.sound ? [] : made.app)];
        const packages = made.packages && [
          folder("app"),
          folder("app/node_modules"),
          ...(made.sound ? [] : made.packages),
        ];
        const archives = [...(packages ? [{ role: "packages", of: packages }] : []), { role: "app", of: app }].map(
          ({ role, of }) => ({ role, tar: archiveOf(of) }),
        );
        const layers = archives.map(({ role, tar }) => {
          const blob = made.gzipped ? gzipSync(tar, { level: 1 }) : tar;
          return {
            mediaType: MediaType.layer,
            digest: put(layout, blob),
            size: blob.length,
            annotations: { [LAYER_ROLE]: role },
          };
        });
        const rootfs = {
          type: "layers",
          diff_ids: archives.map(({ tar }) => (made.truth ? digestOf(tar) : digestOf("x"))),
        };
        const plainConfig = {
          architecture: "amd64",
          os: "linux",
          config: { Env: ["A=b"], WorkingDir: "/app" },
          rootfs,
        };
        const config = Buffer.from(JSON.stringify(made.config.reduce<unknown>(mutated, plainConfig)) ?? "");
        const plainManifest = {
          schemaVersion: 2,
          mediaType: MediaType.manifest,
          config: { mediaType: MediaType.config, digest: put(layout, config), size: config.length },
          layers,
        };
        const manifest = Buffer.from(JSON.stringify(made.manifest.reduce<unknown>(mutated, plainManifest)) ?? "");
        const digest = put(layout, manifest);
        const blobs = [digest, digestOf(config), ...layers.map((layer) => layer.digest)];
        const bytes = [
          manifest,
          config,
          ...archives.map(({ tar }) => (made.gzipped ? gzipSync(tar, { level: 1 }) : tar)),
        ];
        for (const [which, apply] of made.blobs) {
          const at = which % blobs.length;
          put(layout, apply(bytes[at] as Buffer), blobs[at]);
        }
        const content = join(dir, "content");
        mkdirSync(join(content, ".tmp"), { recursive: true });
        try {
          const unpacked = await unpackApp(layout, digest, content);
          expect(unpacked.dir.startsWith(content)).toBe(true);
          expect(readdirSync(unpacked.dir).includes("serve.mjs")).toBe(!made.bare);
          if (unpacked.packagesDir !== undefined) readdirSync(join(unpacked.dir, "node_modules"));
          expectWhole(content, true);
        } catch (error) {
          if (!isAppctlError(error)) throw error;
          expect(error.code).toMatch(/^[A-Z_]+$/);
          expectWhole(content, false);
        }
        check();
      }),
      { ...runs(2500), timeout: 30_000 },
    );
  });

  it("do not confuse the reader of index.json", async () => {
    const reference = "web-image:AAAAAAAAAAAAAAAAAAAAAA";
    const valid = (digest: string) => ({
      schemaVersion: 2,
      mediaType: MediaType.index,
      manifests: [{ mediaType: MediaType.manifest, digest, size: 2, annotations: { [REF_NAME]: reference } }],
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutation, { maxLength: 2 }),
        fc.array(harm, { maxLength: 1 }),
        async (changes, harmful) => {
          tally.add();
          const { dir, check } = place();
          const layout = newLayout(dir);
          const digest = put(layout, Buffer.from("{}"));
          const text = JSON.stringify(changes.reduce<unknown>(mutated, valid(digest))) ?? "";
          writeFileSync(join(layout.dir, "index.json"), damagedBy(Buffer.from(text), harmful));
          for (const act of [
            () => layout.resolve(reference),
            () => layout.references(),
            () => layout.tag("other:1", { mediaType: MediaType.manifest, digest, size: 2 }),
          ]) {
            try {
              await act();
            } catch (error) {
              if (!isAppctlError(error)) throw error;
              expect(error.code).toMatch(/^[A-Z_]+$/);
            }
          }
          const temporary = join(layout.dir, ".tmp");
          expect(existsSync(temporary) ? readdirSync(temporary) : []).toEqual([]);
          check();
        },
      ),
      { ...runs(1000), timeout: 30_000 },
    );
  });
});

expectShare("images", tally);
