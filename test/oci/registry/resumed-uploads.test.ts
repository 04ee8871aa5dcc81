import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../../src/core/errors.ts";
import { digestOf } from "../../../src/oci/model.ts";
import { uploadBlob } from "../../../src/oci/registry/upload-blob.ts";
import { failureOf } from "../../image/support.ts";
import { type FaultProxy, faultProxy, first } from "../../support/fault-proxy.ts";
import { resumingRegistry } from "./resuming-registry.ts";
import { pauses, repositoryAt } from "./support.ts";

describe("a registry that keeps what has arrived", () => {
  const content = randomBytes(300_000);
  const digest = digestOf(content);
  const source = {
    digest,
    size: content.length,
    open: (start: number, end: number) => Readable.from([content.subarray(start, end)], { objectMode: false }),
  };

  async function upload(options: Parameters<typeof resumingRegistry>[0], fault?: FaultProxy["fault"]) {
    const registry = await resumingRegistry(options);
    const proxy = await faultProxy(registry.port);
    if (fault) proxy.fault = fault;
    const { asked: waited, wait } = pauses();
    const repository = repositoryAt(proxy.host, { repository: "a", wait });
    try {
      await uploadBlob(repository, source, { chunkSize: 100_000 });
      expect(registry.blobs.get(digest)).toEqual(content);
    } finally {
      await repository.close();
      await proxy.close();
      await registry.close();
    }
    return { registry, requests: proxy.seen.map(({ method }) => method).join(" "), waited };
  }

  it.each([1, 2, 999, 50_000, 99_999, 100_000])(
    "is sent only the rest of a chunk that broke off after %i bytes",
    async (offset) => {
      const { registry } = await upload({}, first(1, "PATCH", /./, { cutRequest: offset }));
      // One byte alone looks like none in the specification's "0-0": that upload is given up.
      expect(registry.begun).toBe(offset === 1 ? 2 : 1);
      expect(registry.received).toBeLessThanOrEqual(content.length + 1);
    },
  );

  it("is not sent again what it answered to, when the answer was lost", async () => {
    const { registry } = await upload({}, first(1, "PATCH", /./, { cutAnswer: true }));
    expect(registry).toMatchObject({ begun: 1, received: content.length });
  });

  it("outlasts more breaks than tries, as long as each brings it on", async () => {
    const { registry } = await upload({}, first(20, "PATCH", /./, { cutRequest: 10_000 }));
    expect(registry).toMatchObject({ begun: 1, received: content.length });
  });

  it("gets chunks as large as it asks for", async () => {
    const { requests } = await upload({ minimum: 150_000 });
    expect(requests).toBe("POST PATCH PATCH PUT");
  });

  it("gets the blob in one request when it takes no chunks", async () => {
    const { requests } = await upload({ chunks: false });
    expect(requests).toBe("POST PATCH POST PUT");
  });

  it("that no longer knows an upload gets it again", async () => {
    const gone = { answer: { status: 404 } };
    let patches = 0;
    const { registry } = await upload({}, ({ method }) => (method === "PATCH" && ++patches === 2 ? gone : undefined));
    expect(registry.begun).toBe(2);
  });

  /** Says yes to `times` chunks and keeps nothing of them; one that asks on and on is stopped. */
  function takesNothing(times: number): FaultProxy["fault"] {
    let taken = 0;
    return ({ method, path }) => {
      if (method !== "PATCH" || taken++ >= times) return undefined;
      if (taken > 50) return { answer: { status: 403 } };
      return { answer: { status: 202, headers: { location: path, range: "0-0" } } };
    };
  }

  it("gets a chunk again that it said yes to and did not keep", async () => {
    const { registry, requests, waited } = await upload({}, takesNothing(2));
    expect(registry).toMatchObject({ begun: 1, received: content.length });
    expect(requests).toBe("POST PATCH PATCH PATCH PATCH PATCH PUT");
    expect(waited).toHaveLength(2);
  });

  it("is not sent a chunk for ever that it says yes to and does not keep", async () => {
    const error = await failureOf(upload({}, takesNothing(Number.POSITIVE_INFINITY)));
    expect(error).toMatchObject({ code: "REGISTRY_ERROR", message: expect.stringContaining("reports 0") });
  });

  it("fails with the cause when nothing moves", async () => {
    const error = await upload({}, ({ method }) => (method === "PATCH" ? { cutRequest: 0 } : undefined)).catch(
      (thrown: unknown) => thrown,
    );
    expect(isAppctlError(error) && error.code).toBe("REGISTRY_UNREACHABLE");
  });
});
