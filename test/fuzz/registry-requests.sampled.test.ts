import { Buffer } from "node:buffer";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, MediaType } from "../../src/oci/model.ts";
import { createRegistry, type Registry } from "../../src/platform/images/registry-api/registry-api.ts";
import { FakeEngine } from "../engine/fake-engine.ts";
import { isLong } from "../support/amount.ts";
import { programImage, startPlatform, type TestPlatform } from "../support/in-process.ts";
import { expectShare, oddJson, runs, Tally } from "./support.ts";

const tally = new Tally();
const answered = new Map<number, number>();
let test: TestPlatform;
let registry: Registry;
let key: string;
let known: { digest: string; tag: string; manifest: string };

beforeAll(async () => {
  const dir = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "ap-"));
  test = await startPlatform({ dir, makeEngine: async () => new FakeEngine() });
  registry = createRegistry(
    test.platform.services,
    () => new Date(0),
    (message) => test.reports.push(message),
  );
  key = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  const image = await programImage(test, "");
  const manifest = (await test.platform.services.images.readBlob(image.digest)).toString();
  known = { digest: image.digest, tag: image.reference.slice(image.reference.lastIndexOf(":") + 1), manifest };
});
afterAll(() => test?.close());

const odd = fc.oneof(
  fc.constantFrom(
    ...["", "..", ".", "%2e%2e", "%00", "%ff", "A", "a--b", "a__b", "-a", "a".repeat(300), "sha256:", "sha512:ab", "@"],
    ...[`sha256:${"A".repeat(64)}`, `sha256:${"0".repeat(64)}`, digestOf("x"), "uploads", "blobs", "tags", "__proto__"],
  ),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed())),
);
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom("program-image", "a/b", "blobs/uploads") }, odd);
const subject = fc.oneof(fc.constantFrom("KNOWN-DIGEST", "KNOWN-TAG", "new"), odd);
const path = fc.oneof(
  fc
    .tuple(name, fc.constantFrom("manifests", "blobs", "blobs/uploads", "referrers"), subject)
    .map((parts) => parts.join("/")),
  fc.tuple(name, fc.constantFrom("tags/list", "blobs/uploads/", "blobs/uploads")).map((parts) => parts.join("/")),
  fc.constantFrom("", "_catalog"),
  odd,
);
const query = fc.array(
  fc.tuple(fc.constantFrom("digest", "mount", "from", "n", "last", "artifactType"), fc.oneof(subject, odd)),
  { maxLength: 3 },
);
const headers = fc.dictionary(
  fc.constantFrom("range", "content-range", "content-type", "accept"),
  fc.constantFrom(
    ...["bytes=0-0", "bytes=5-1", "bytes=-", `bytes=-${"9".repeat(15)}`, "bytes=99999999-", "0-5", "5-0", "0--1", "x"],
    ...[MediaType.manifest, MediaType.index, `${MediaType.manifest}; charset=utf-8`, "application/json", ";", ""],
  ),
);
/** Changes one field of the known manifest. */
const changed = fc
  .tuple(
    fc.constantFrom(
      "schemaVersion",
      "mediaType",
      "config",
      "layers",
      "subject",
      "manifests",
      "annotations",
      "artifactType",
    ),
    oddJson,
  )
  .map(
    ([field, value]) =>
      (manifest: string) =>
        JSON.stringify({ ...JSON.parse(manifest), [field]: value }),
  );
const body = fc.oneof(
  changed,
  oddJson.map((value) => () => JSON.stringify(value) ?? ""),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => () => text),
  fc.constant((manifest: string) => manifest),
);

describe("malformed requests by the OCI distribution protocol", () => {
  it("are answered in its own words, never as a failure of the platform", async () => {
    const methods = fc.constantFrom("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS");
    const property = fc.asyncProperty(methods, path, query, headers, body, async (method, odd, pairs, fields, make) => {
      const fill = (text: string) => text.replace("KNOWN-DIGEST", known.digest).replace("KNOWN-TAG", known.tag);
      const search = pairs.map(([field, value]) => `${field}=${fill(value)}`).join("&");
      const request = new Request(`http://localhost/v2/${fill(odd)}?${search}`, {
        method,
        headers: { ...fields, authorization: `Bearer ${key}` },
        ...(method === "GET" || method === "HEAD" ? {} : { body: new Uint8Array(Buffer.from(make(known.manifest))) }),
      });
      const answer = await registry(request, {});
      tally.add();
      answered.set(answer.status, (answered.get(answer.status) ?? 0) + 1);
      const what = `${method} ${request.url} → ${answer.status}`;
      expect(answer.status, what).toBeLessThan(500);
      const text = await answer.text();
      if (answer.status < 400) return;
      const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
      expect(errors.length, what).toBeGreaterThan(0);
      for (const { code, message } of errors) {
        expect(code, what).toMatch(/^[A-Z_]+$/);
        expect(message, what).not.toBe("");
      }
      for (const inside of [test.dir, "/src/", "node_modules"]) expect(text, what).not.toContain(inside);
    });
    await fc.assert(property, runs(isLong ? 20_000 : 4_000));
    expect(test.reports).toEqual([]);
    // Both what is refused and what is taken is reached, by enough of them.
    if (isLong)
      for (const status of [200, 201, 202, 400, 404, 405]) expect(answered.get(status), `${status}`).toBeGreaterThan(0);
  });

  it("leave the store readable, with a name for nothing that is not whole", async () => {
    const { images } = test.platform.services;
    for (const { reference, descriptor } of await images.references()) {
      expect(await images.hasBlob(descriptor.digest, descriptor.size), reference).toBe(true);
    }
    const blobs = readdirSync(join(images.dir, "blobs", "sha256"));
    for (const hex of blobs) expect(digestOf(readFileSync(images.blobPath(`sha256:${hex}`)))).toBe(`sha256:${hex}`);
  });
});

expectShare("registry-requests", tally);
