import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gzip } from "../../src/oci/archive/gzip.ts";
import { tar } from "../../src/oci/archive/tar.ts";

/** A version of a package that the registry has. `files` are below the package's folder. */
export interface TestPackage {
  name: string;
  version: string;
  files?: Record<string, string>;
  manifest?: Record<string, unknown>;
  /** Its tarball, where that is not to be made of `files` and `manifest`. */
  tarball?: Buffer;
}

/** A small npm registry on a free port of 127.0.0.1. */
export interface TestRegistry {
  url: string;
  /** Every request that it got. */
  requests: { path: string; headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

/** Starts a registry. `token`: it answers 401 without. `tls`: it speaks HTTPS. `hold`: it never answers, but where that says false. */
export async function startRegistry(
  packages: TestPackage[],
  options: { token?: string; tls?: { key: string; cert: string }; hold?: (path: string) => unknown } = {},
): Promise<TestRegistry> {
  const tarballs = new Map<string, Buffer>();
  const packuments = new Map<string, { versions: Record<string, Record<string, unknown>>; latest: string }>();
  for (const item of packages) {
    const manifest = { name: item.name, version: item.version, main: "index.js", ...item.manifest };
    const files = {
      "package.json": JSON.stringify(manifest),
      "index.js": `module.exports = "${item.version}";\n`,
      ...item.files,
    };
    const bytes = item.tarball ?? (await pack(files));
    const file = `/${item.name}/-/${item.name.split("/").at(-1)}-${item.version}.tgz`;
    tarballs.set(file, bytes);
    const known = packuments.get(item.name) ?? { versions: {}, latest: item.version };
    known.versions[item.version] = {
      ...manifest,
      dist: {
        integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
        shasum: createHash("sha1").update(bytes).digest("hex"),
        tarball: file,
      },
    };
    known.latest = item.version;
    packuments.set(item.name, known);
  }
  const requests: TestRegistry["requests"] = [];
  const listener: Parameters<typeof createServer>[1] = (request, response) => {
    // As a proxy it gets whole URLs.
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://registry.invalid").pathname);
    requests.push({ path, headers: request.headers });
    if (options.hold && options.hold(path) !== false) return;
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
      response.writeHead(401, { "content-type": "application/json" }).end('{"error":"no"}');
      return;
    }
    const tarball = tarballs.get(path);
    if (tarball) return void response.writeHead(200, { "content-type": "application/octet-stream" }).end(tarball);
    const packument = packuments.get(path.slice(1));
    if (!packument)
      return void response.writeHead(404, { "content-type": "application/json" }).end('{"error":"not found"}');
    const versions = Object.fromEntries(
      Object.entries(packument.versions).map(([version, manifest]) => {
        const dist = manifest["dist"] as { integrity: string; shasum: string; tarball: string };
        return [
          version,
          {
            ...manifest,
            dist: { ...dist, tarball: `http${options.tls ? "s" : ""}://${request.headers.host}${dist.tarball}` },
          },
        ];
      }),
    );
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ name: path.slice(1), versions, "dist-tags": { latest: packument.latest } }));
  };
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http${options.tls ? "s" : ""}://127.0.0.1:${port}/`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function pack(files: Record<string, string>): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, text]) => ({
    type: "file" as const,
    path: `package/${path}`,
    executable: text.startsWith("#!"),
    content: Buffer.from(text),
  }));
  const chunks: Buffer[] = [];
  for await (const chunk of gzip(tar(entries), 6)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
