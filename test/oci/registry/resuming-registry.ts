import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { digestOf } from "../../../src/oci/model.ts";

/**
 * The upload of blobs as the distribution specification 1.1 has it, to the letter: what has arrived of a chunk that broke off
 * is kept, and an upload can be asked where it stands. CNCF distribution 2.8 gives such an upload up.
 */
export interface ResumingRegistry {
  port: number;
  blobs: Map<string, Buffer>;
  /** Bytes of chunks that it has got, those of all tries. */
  received: number;
  /** Uploads that were begun. */
  begun: number;
  close(): Promise<void>;
}

/** Starts one. `chunks: false`: it takes none, as some registries; `minimum`: the least that a chunk has to have. */
export async function resumingRegistry(
  options: { chunks?: boolean; minimum?: number } = {},
): Promise<ResumingRegistry> {
  const uploads = new Map<string, Buffer>();
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://registry.test");
    const id = /\/blobs\/uploads\/(\d+)$/.exec(pathname)?.[1] ?? "";
    const at = () => {
      const size = uploads.get(id)?.length ?? 0;
      return { location: pathname, range: `0-${Math.max(0, size - 1)}` };
    };
    if (request.method === "HEAD") {
      const blob = registry.blobs.get(pathname.split("/").at(-1) ?? "");
      return void response.writeHead(blob ? 200 : 404, { "content-length": blob?.length ?? 0 }).end();
    }
    if (request.method === "POST") {
      const next = `${++registry.begun}`;
      uploads.set(next, Buffer.alloc(0));
      const least = options.minimum ? { "oci-chunk-min-length": options.minimum } : {};
      return void response.writeHead(202, { location: `/v2/a/blobs/uploads/${next}`, ...least }).end();
    }
    if (!uploads.has(id)) return void response.writeHead(404).end();
    if (request.method === "GET") return void response.writeHead(204, at()).end();
    if (request.method === "PATCH") {
      const start = Number(/^(\d+)-/.exec(request.headers["content-range"] ?? "")?.[1]);
      if (options.chunks === false) return void response.writeHead(405).end();
      if (start !== uploads.get(id)?.length) return void response.writeHead(416, at()).end();
    }
    request.on("data", (chunk: Buffer) => {
      registry.received += chunk.length;
      uploads.set(id, Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), chunk]));
    });
    // One that breaks off has no end; what has arrived of it stays.
    await new Promise((resolve) => request.on("end", resolve));
    if (request.method === "PATCH") return void response.writeHead(202, at()).end();
    const bytes = uploads.get(id) ?? Buffer.alloc(0);
    const digest = searchParams.get("digest") ?? "";
    uploads.delete(id);
    if (digestOf(bytes) !== digest) {
      const errors = [{ code: "DIGEST_INVALID", message: "provided digest did not match uploaded content" }];
      return void response.writeHead(400).end(JSON.stringify({ errors }));
    }
    registry.blobs.set(digest, bytes);
    response.writeHead(201, { location: `/v2/a/blobs/${digest}` }).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const registry: ResumingRegistry = {
    port: (server.address() as AddressInfo).port,
    blobs: new Map(),
    received: 0,
    begun: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return registry;
}
