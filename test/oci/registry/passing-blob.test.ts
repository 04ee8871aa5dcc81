/** A blob that passes from one registry to another, which may know no ranges. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { fromRepository, PassingBlob } from "../../../src/oci/registry/blob-source.ts";
import { uploadBlob } from "../../../src/oci/registry/upload-blob.ts";
import { failureOf } from "../../image/support.ts";
import { type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { type ResumingRegistry, resumingRegistry } from "./resuming-registry.ts";
import { pauses, repositoryAt } from "./support.ts";

const CHUNK = 100_000;
const content = randomBytes(1_050_000);
const digest = digestOf(content);

describe.each([true, false])("a blob of a registry that knows ranges: %s", (ranges) => {
  let from: Server;
  let to: ResumingRegistry;
  let proxy: FaultProxy;
  /** The first byte of each answer. */
  let starts: number[] = [];
  /** Breaks the first answers off after so many bytes. */
  let breaks: number[] = [];
  let length = content.length;
  beforeAll(async () => {
    from = createServer((request, response) => {
      const range = ranges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") : null;
      const [start, end] = range ? [Number(range[1]), Number(range[2]) + 1] : [0, content.length];
      starts.push(start);
      response.writeHead(range ? 206 : 200);
      const limit = breaks.shift();
      if (limit === undefined) response.end(content.subarray(start, Math.min(end, length)));
      else response.write(content.subarray(start, start + limit), () => response.destroy());
    }).listen(0, "127.0.0.1");
    await once(from, "listening");
  });
  beforeEach(async () => {
    [starts, breaks, length] = [[], [], content.length];
    to = await resumingRegistry();
    proxy = await faultProxy(to.port);
    return async () => {
      await proxy.close();
      await to.close();
    };
  });
  afterAll(() => {
    from.close();
    from.closeAllConnections();
  });

  async function pass(chunkSize = CHUNK) {
    const source = repositoryAt(`127.0.0.1:${(from.address() as AddressInfo).port}`, { ...pauses(), access: "pull" });
    const target = repositoryAt(proxy.host, pauses());
    try {
      await uploadBlob(target, fromRepository(source, { digest, size: content.length }), { chunkSize });
      expect(Buffer.compare(to.blobs.get(digest) ?? Buffer.alloc(0), content)).toBe(0);
    } finally {
      await source.close();
      await target.close();
    }
  }

  it.each([CHUNK, 64 * 1024, 350_000, content.length])("is fetched once for chunks of %i bytes", async (chunkSize) => {
    await pass(chunkSize);
    expect(starts).toEqual([0]);
  });

  it("is fetched again only from where a chunk broke off on its way out", async () => {
    let patches = 0;
    proxy.fault = ({ method }) => (method === "PATCH" && ++patches === 4 ? { cutRequest: 30_000 } : undefined);
    await pass();
    expect(starts).toHaveLength(2);
    expect(starts[1]).toBe(ranges ? 330_000 : 0);
  });

  it("is fetched again only from where it broke off on its way in", async () => {
    breaks = [444_444];
    await pass();
    expect(starts).toEqual([0, ranges ? 444_444 : 0]);
  });

  it("is read on for a receiver that asks for a chunk before it has seen the end of the one before", async () => {
    const source = repositoryAt(`127.0.0.1:${(from.address() as AddressInfo).port}`, { ...pauses(), access: "pull" });
    const passing = new PassingBlob(source, { digest, size: content.length });
    const got: Buffer[] = [];
    const take = async (bytes: AsyncGenerator<Buffer>, most: number) => {
      for (let left = most; left > 0; left -= got.at(-1)?.length ?? 0) got.push((await bytes.next()).value);
    };
    const [first, second] = [passing.read(0, CHUNK), passing.read(CHUNK, content.length)];
    await take(first, CHUNK);
    await take(second, 1);
    expect(await first.next()).toMatchObject({ done: true });
    for await (const bytes of second) got.push(bytes);
    expect(Buffer.compare(Buffer.concat(got), content)).toBe(0);
    expect(starts).toEqual([0]);
    await source.close();
  });

  it("that ends too early is told as that", async () => {
    length = 777_777;
    expect(await failureOf(pass())).toMatchObject({
      code: "REGISTRY_CONTENT_DAMAGED",
      message: expect.stringContaining("ended after 777777 of 1050000 bytes"),
    });
  });
});
