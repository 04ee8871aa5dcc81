import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import { type EndpointName, endpoints } from "../../src/contract/endpoints.ts";
import { Problem } from "../../src/contract/schemas.ts";
import type { ImageReference } from "../../src/contract/types.ts";
import { Redacted } from "../../src/core/redacted.ts";
import { digestOf } from "../../src/oci/model.ts";
import { createApi } from "../../src/platform/api/api.ts";
import { descriptions } from "../../src/platform/api/openapi.ts";
import type { Builds } from "../../src/platform/builds/build-queue.ts";
import { brokenOff } from "../../src/platform/builds/task.ts";
import { createConsole } from "../../src/platform/console/console.ts";
import { FakeEngine } from "../engine/fake-engine.ts";
import { programImage, programSpec, startPlatform, type TestPlatform } from "../support/in-process.ts";
import { expectShare, mutated, mutation, oddJson, runs, Tally } from "./support.ts";

/** What a request is made of. Paths and header values are as they go over the wire. */
interface Made {
  endpoint: EndpointName;
  method: string;
  path: string;
  query: [string, string][];
  headers: [string, string][];
  body: Buffer | undefined;
}

const SECRET = "a-value-that-no-answer-may-hold";
const tally = new Tally();
let test: TestPlatform;
let replica: Server;
let api: ReturnType<typeof createApi>;
let adminKey: string;
let image: ImageReference;
let state: State;
/** JSON blobs that are no manifests, in many ways. They are in the store, so that their digests lead to them. */
let oddBlobs: string[] = [];

beforeAll(async () => {
  replica = createServer((_, res) => res.end("answered")).listen(0, "127.0.0.1");
  await once(replica, "listening");
  const address = { host: "127.0.0.1", port: (replica.address() as AddressInfo).port };
  // In memory, where there is such a place: nothing here is about disks.
  const dir = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "ap-"));
  test = await startPlatform({ dir, makeEngine: async () => new FakeEngine({ address }) });
  // What is taken goes to a worker, which has tests of its own.
  const builds = { follow: () => failing() } as unknown as Builds;
  api = createApi({ ...test.platform.services, builds }, (message) => test.reports.push(message));
  adminKey = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  image = await programImage(test, "");
  const { images } = test.platform.services;
  const manifest = (await images.readJson(image.digest)) as { config: { digest: string } };
  const store = async (value: unknown) => (await images.writeBlob(Buffer.from(JSON.stringify(value)))).digest;
  const configs = await Promise.all(
    [null, 5, [], "x", {}, { config: null }, { config: { Env: 5 } }, { config: { Env: [5, null] } }].map(store),
  );
  oddBlobs = await Promise.all(
    [
      ...[
        null,
        5,
        [],
        "x",
        {},
        { config: null },
        { config: 5 },
        { config: { digest: 5 } },
        { config: { digest: "x" } },
      ],
      ...[
        { ...manifest, layers: 5 },
        { ...manifest, layers: {} },
        { ...manifest, layers: [null, 5] },
      ],
      ...[
        { ...manifest, layers: [{ digest: "../../../etc/passwd" }] },
        { ...manifest, layers: [{ digest: {} }] },
      ],
      ...configs.map((digest) => ({ ...manifest, config: { digest } })),
    ].map(store),
  );
  oddBlobs.push(...configs, manifest.config.digest, (await images.writeBlob(Buffer.from("{"))).digest);
  await restore();
  state = new State();
});
afterAll(async () => {
  state?.close();
  await test?.close();
  replica?.closeAllConnections();
  replica?.close();
});

async function* failing() {
  yield brokenOff("nothing is built here");
}

/** Brings back what accepted requests may have taken away, and lets every deployment end. */
async function restore(): Promise<void> {
  const { secrets, keys, deployer, store } = test.platform.services;
  const place = { project: "default", domain: "development" };
  const visible = secrets.list(place).map(({ name, scope }) => `${scope} ${name}`);
  if (!visible.includes("project KEY")) secrets.create(place, "KEY", "project", redacted(SECRET), false);
  if (!keys.has("extra")) keys.create("extra", test.platform.url);
  const ref = { ...place, name: "web" };
  const web = store.find(ref);
  if (!web || web.deleting || web.stopped || web.currentRevision === null) {
    await deployer.accept(ref, programSpec("web"), image, undefined);
  }
  while (store.all().some((app) => app.deleting || store.openDeployments(app.id).length > 0)) await turn();
}

const redacted = (text: string) => new Redacted(Buffer.from(text));

/** Everything that the platform keeps: each table, but for the time of keys' last use, and the images. */
class State {
  readonly #db = new DatabaseSync(join(test.dir, "state", "platform.db"), { readOnly: true });
  #version = -1;
  #database = "";
  #images = "";

  constructor() {
    this.accept();
  }

  /** Takes what is now for what ought to be. */
  accept(): void {
    this.#version = this.#dataVersion();
    this.#database = this.#tables();
    this.#images = this.#files();
  }

  /** Fails when anything differs. `fully`: looks at everything, whether SQLite tells of a commit or not. */
  expectUnchanged(fully: boolean): void {
    const version = this.#dataVersion();
    if (fully || version !== this.#version) {
      expect(this.#tables()).toBe(this.#database);
      this.#version = version;
    }
    if (fully) expect(this.#files()).toBe(this.#images);
  }

  close(): void {
    this.#db.close();
  }

  #dataVersion(): number {
    return (this.#db.prepare("PRAGMA data_version").get() as { data_version: number }).data_version;
  }

  #tables(): string {
    const names = this.#db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    const rows = names.map(({ name }) => this.#db.prepare(`SELECT * FROM ${name}`).all());
    return digestOf(
      JSON.stringify([names, rows], (key, value) =>
        key === "last_used_at" ? undefined : value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
      ),
    );
  }

  #files(): string {
    const root = join(test.dir, "state", "images");
    return readdirSync(root, { recursive: true, encoding: "utf8" })
      .sort()
      .map((file) => {
        const { size, mtimeMs, mode } = statSync(join(root, file));
        // To note that a blob was asked for leaves whole milliseconds of when it was written.
        return `${file} ${mode} ${file.endsWith(".tmp") ? "" : `${size} ${Math.round(mtimeMs)}`}`;
      })
      .join("\n");
  }
}

const names = Object.keys(endpoints) as EndpointName[];
const spec = programSpec("web");
const digests = fc.oneof(
  fc.nat().map((n) => oddBlobs[n % oddBlobs.length] as string),
  fc.constantFrom(`sha256:${"0".repeat(64)}`, `sha256:${"A".repeat(64)}`, "sha256:", "md5:0"),
  fc.constant(0).map(() => image.digest),
);

/** A body that the endpoint accepts as it stands, or refuses only for what it names. */
const bodies: { [name in EndpointName]?: fc.Arbitrary<unknown> } = {
  consoleLink: fc.constant({ path: "/console" }),
  checkApp: fc.constant({ spec }),
  applyApp: digests.map((digest) => ({ spec, image: { reference: "program-image:1", digest } })),
  setTraffic: fc.constantFrom({}, { revision: "web-00001" }, { revision: "web-99999" }),
  createSecret: fc.constantFrom(...["project", "domain"].map((scope) => ({ name: "KEY", scope, value: "eA==" }))),
  updateSecret: fc.constantFrom(
    { name: "KEY", scope: "domain", value: "eA==" },
    { name: "KEY", scope: "project", value: "eA==" },
    { name: "KEY", scope: "project", value: "AA==", binary: false },
    { name: "KEY", scope: "project", value: "" },
  ),
  createApiKey: fc.constantFrom<unknown>(
    { name: "extra", kind: "admin" },
    { name: "extra2", kind: "admin", secret: { project: "default", domain: "development", name: "KEY" } },
    { name: "local", kind: "admin" },
  ),
  resolvePackages: fc.constantFrom<unknown>(
    { packages: ["hono", "zod@4"], pins: { file: "package-lock.json", versions: { hono: "4.0.0" } }, refresh: true },
    {
      packages: [],
      requirements: {
        file: "a/pnpm-lock.yaml",
        text: "lockfileVersion: '9.0'",
        project: {
          dependencies: { hono: "4" },
          peerDependenciesMeta: { x: { optional: true } },
          overrides: { a: { b: "1" } },
        },
      },
    },
  ),
  buildImage: digests.map((digest) => ({
    name: "web-image",
    packages: ["hono"],
    env: { A: "1" },
    baseImage: "node:24-slim",
    entrypoint: ["node"],
    copy: [{ path: "a/b", digest, size: 2, executable: false }],
    platform: { os: "linux", cpu: "x64", libc: "glibc" },
    force: false,
  })),
  missingBlobs: digests.map((digest) => ({ digests: [digest] })),
};

const rawBodies = fc
  .oneof(
    fc.constantFrom(
      ...[
        "",
        " ",
        "{",
        "[",
        '"',
        "{}",
        "[]",
        "null",
        "nul",
        "{}{}",
        "{,}",
        "{'a':1}",
        '{"a":1,}',
        "\ufeff{}",
        "[1e999]",
      ],
      ...['{"a":1,"a":2}', '{"name":"x","name":"KEY"}', '{"__proto__":null}', '{"__proto__":{"spec":{}}}', '"\\ud800"'],
      ...[
        `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
        `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
        "9".repeat(5000),
      ],
      ...[`{"spec":{"env":${"[".repeat(5000)}${"]".repeat(5000)}}}`, `{"${"k".repeat(100_000)}":1}`, "\0", "// x\n{}"],
    ),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.json({ maxDepth: 3 }),
  )
  .map((text) => Buffer.from(text));

/** What becomes of a body's text on its way: mostly nothing. */
const damage = fc.oneof(
  { weight: 7, arbitrary: fc.constant((text: Buffer) => text) },
  { weight: 1, arbitrary: fc.nat().map((at) => (text: Buffer) => text.subarray(0, at % (text.length + 1))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }))
      .map(([at, bytes]) => (text: Buffer) => {
        const place = at % (text.length + 1);
        return Buffer.concat([text.subarray(0, place), bytes, text.subarray(place)]);
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(), fc.constantFrom("1e999", "-0", "9".repeat(400), "1.", "01", '"\\u0000"'))
      .map(([at, number]) => (text: Buffer) => {
        const found = [...text.toString("latin1").matchAll(/:(?:\d+|"[^"]*"|true|false)/g)];
        const match = found[at % Math.max(1, found.length)];
        if (!match) return text;
        const end = match.index + match[0].length;
        return Buffer.concat([text.subarray(0, match.index + 1), Buffer.from(number), text.subarray(end)]);
      }),
  },
);

function bodyOf(endpoint: EndpointName): fc.Arbitrary<Buffer | undefined> {
  const valid = bodies[endpoint];
  if (!valid) {
    return fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: rawBodies });
  }
  const changed = fc
    .tuple(valid, fc.array(mutation, { minLength: 1, maxLength: 3 }), damage)
    .map(([value, changes, harm]) => harm(Buffer.from(JSON.stringify(changes.reduce(mutated, value)) ?? "")));
  return fc.oneof(
    { weight: 12, arbitrary: changed },
    { weight: 1, arbitrary: valid.map((value) => Buffer.from(JSON.stringify(value))) },
    { weight: 3, arbitrary: rawBodies },
    { weight: 1, arbitrary: oddJson.map((value) => Buffer.from(JSON.stringify(value) ?? "")) },
  );
}

const percent = (bytes: Uint8Array) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const oddSegment = fc.oneof(
  fc.constantFrom(
    ...["", ".", "..", "%2e%2e", "%2e%2e%2f", "%00", "a%00", "%2f", "%2F..%2F", "%ff", "%c0%af", "%", "%zz", "%e2%82"],
    ...[
      "%252e",
      "a b",
      "a;b",
      "a:b",
      "{name}",
      ":name",
      "*",
      "(.*)",
      "a%0d%0aX:%20y",
      "%F0%9F%94%91",
      "é",
      "A",
      "-",
      "a-",
    ],
    ...["__proto__", "constructor", "toString", "null", "a".repeat(31), "a".repeat(64), "a".repeat(10_000), "%41%42"],
  ),
  fc.uint8Array({ minLength: 1, maxLength: 6 }).map(percent),
  fc.string({ unit: "binary", maxLength: 8 }).map((text) => encodeURIComponent(text.toWellFormed())),
);

function segmentOf(key: string): fc.Arbitrary<string> {
  const known: Record<string, fc.Arbitrary<string>> = {
    project: fc.constantFrom("default", "default", "other"),
    domain: fc.constantFrom("development", "development", "production"),
    name: fc.constantFrom("web", "KEY", "extra", "none", "local"),
    deployment: fc.constantFrom("1", "2", "0", "999999999", "1e3", "-1", "01", "9".repeat(20)),
    digest: digests,
  };
  return fc.oneof({ weight: 6, arbitrary: known[key] as fc.Arbitrary<string> }, { weight: 1, arbitrary: oddSegment });
}

function pathFor(endpoint: EndpointName): fc.Arbitrary<string> {
  const template = endpoints[endpoint].path;
  const keys = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  const filled = fc.tuple(...keys.map(segmentOf)).map((values) => {
    let index = 0;
    return template.replace(/\{\w+\}/g, () => values[index++] as string);
  });
  const broken = fc.tuple(filled, fc.nat(), oddSegment).map(([path, at, odd]) => {
    const place = 1 + (at % path.length);
    return path.slice(0, place) + odd + path.slice(place);
  });
  return fc.oneof({ weight: 9, arbitrary: filled }, { weight: 1, arbitrary: broken });
}

const query: fc.Arbitrary<[string, string][]> = fc.array(
  fc.tuple(
    fc.constantFrom("after", "wait", "tail", "since", "follow", "scope", "reference", "nonce", "a[]", "__proto__", ""),
    fc.oneof(
      fc.constantFrom(
        ...["", "0", "1", "60", "61", "-1", "1e3", "0x10", "9".repeat(15), "9".repeat(400), "NaN", "true", "project"],
        ...["domain", "organization", "everywhere", "2026-01-01T00:00:00Z", "yesterday", "+275760-09-13T00:00:00Z"],
        ...["program-image:1", "none:1", ":", "../x:y", "%00", "%ff", "a".repeat(5000), "0123456789abcdef", "+1", " 1"],
      ),
      fc.uint8Array({ maxLength: 5 }).map(percent),
    ),
  ),
  { maxLength: 3 },
);

const headerText = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 20,
  })
  .filter((text) => !/[\x80-\x9f]/.test(text));
const authorization = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0).map(() => `Bearer ${adminKey}`) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.constantFrom(
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x y",
        "bearer appctl_",
        `Bearer ${"a".repeat(9000)}`,
      ),
      fc.nat().map((at) => `Bearer ${adminKey.slice(0, at % adminKey.length)}`),
      fc.nat().map((at) => {
        const place = 7 + (at % (adminKey.length - 7));
        return `Bearer ${adminKey.slice(0, place)}${adminKey[place] === "A" ? "B" : "A"}${adminKey.slice(place + 1)}`;
      }),
      fc.constant(0).map(() => `Basic ${adminKey}`),
      headerText,
    ),
  },
);
const contentType = fc.oneof(
  { weight: 9, arbitrary: fc.constant("application/json") },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.constantFrom(
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json;",
        "text/json",
        "text/plain",
      ),
      fc.constantFrom(
        "",
        ";",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, a/b",
      ),
      headerText,
    ),
  },
);
const others = fc.array(
  fc.oneof(
    fc.tuple(fc.constant("idempotency-key"), fc.oneof(headerText, fc.constantFrom("", "a", "a".repeat(201), "a b"))),
    fc.tuple(fc.constantFrom("origin"), fc.constantFrom("null", "http://evil.example", "http://localhost", "")),
    fc.tuple(fc.constantFrom("accept", "if-match", "range", "x-http-method-override", "appctl-probe"), headerText),
  ),
  { maxLength: 1 },
);

const made: fc.Arbitrary<Made> = fc.constantFrom(...names).chain((endpoint) =>
  fc.record({
    endpoint: fc.constant(endpoint),
    method: fc.oneof(
      { weight: 12, arbitrary: fc.constant(endpoints[endpoint].method as string) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "x"),
      },
    ),
    path: pathFor(endpoint),
    query: fc.oneof({ weight: 2, arbitrary: fc.constant<[string, string][]>([]) }, { weight: 1, arbitrary: query }),
    headers: fc
      .tuple(authorization, contentType, others)
      .map(([auth, type, more]): [string, string][] => [["authorization", auth], ["content-type", type], ...more]),
    body: bodyOf(endpoint),
  }),
);

/** Requests that change nothing even when they are accepted. */
const READS = new Set<EndpointName>([
  "checkApp",
  "missingBlobs",
  "consoleLink",
  "stopPlatform",
  "resolvePackages",
  "buildImage",
]);

/** Sends a request and checks what has to hold of every answer. Returns the status. */
async function send({ endpoint, method, path, query, headers, body }: Made): Promise<number> {
  const search = query.map(([key, value]) => `${encodeURIComponent(key)}=${value}`).join("&");
  const url = `${test.platform.url}${path}${search === "" ? "" : `?${search}`}`;
  const hasBody = body !== undefined && !/^(?:GET|HEAD)$/i.test(method);
  const request = new Request(url, { method, headers, ...(hasBody ? { body: new Uint8Array(body) } : {}) });
  const incoming =
    hasBody || endpoint === "putBlob"
      ? (Readable.from([body ?? Buffer.alloc(0)]) as never as IncomingMessage)
      : undefined;
  const response = await api.fetch(request, incoming ? { incoming } : {});
  tally.add();
  const what = `${method} ${url} → ${response.status}`;
  expect(response.status, what).toBeLessThan(500);
  expect(response.status, what).toBeGreaterThanOrEqual(200);
  const type = response.headers.get("content-type") ?? "";
  if (type === "application/x-ndjson") {
    expect(response.status, what).toBe(200);
    await response.body?.cancel();
    return response.status;
  }
  const text = await response.text();
  expect(text, what).not.toContain(SECRET);
  if (method === "HEAD") return response.status;
  const value: unknown = JSON.parse(text);
  if (response.status < 400) expectDeclared(response.status, value, url, method);
  else {
    expect(type, what).toBe("application/problem+json");
    for (const inside of [test.dir, "/src/", "node_modules", "\\n    at ", "SQLITE", "ZodError"]) {
      expect(text, what).not.toContain(inside);
    }
    const problem = Problem.parse(value);
    expect(problem.status, what).toBe(response.status);
    expect(problem.code, what).toMatch(/^[A-Z][A-Z_]+$/);
    expect(problem.detail, what).not.toBe("");
    for (const fault of problem.faults ?? []) expect(fault.path, what).not.toBe("");
  }
  return response.status;
}

/** What was accepted has the status and the shape that the OpenAPI document declares: nothing less and nothing more. */
function expectDeclared(status: number, value: unknown, url: string, method: string): void {
  // By the path as it was understood: an odd one may lead to another endpoint than it was made for.
  const path = new URL(url).pathname;
  const fits = names.filter((name) => {
    const pattern = endpoints[name].path.replace(/\{\w+\}/g, "[^/]+").replaceAll(".", "\\.");
    return endpoints[name].method === method && new RegExp(`^${pattern}$`).test(path);
  });
  expect(fits, `${method} ${path}`).toHaveLength(1);
  const { response, status: declared = 200 } = descriptions[fits[0] as EndpointName];
  expect(status, path).toBe(declared);
  if (typeof response === "string") return;
  const parsed = (response as z.ZodType).parse(value);
  expect(isDeepStrictEqual(parsed, value), `${path} answers with undeclared fields`).toBe(true);
}

async function sendAndCompare(request: Made): Promise<void> {
  const status = await send(request);
  const accepted = status < 400 && !/^(?:GET|HEAD)$/.test(request.method) && !READS.has(request.endpoint);
  if (accepted) {
    await restore();
    state.accept();
    return;
  }
  try {
    state.expectUnchanged(request.path.includes("/images/") || tally.count % 500 === 0);
  } catch (error) {
    state.accept(); // what one case has changed is not to be blamed on the smaller ones that are tried after it
    throw error;
  }
}

describe("malformed requests to the API", () => {
  it("are refused as problems, and leave everything as it was", async () => {
    await fc.assert(fc.asyncProperty(made, sendAndCompare), runs(48_000));
    state.expectUnchanged(true);
    expect(test.reports).toEqual([]);
  });

  it("to the console are answered as pages, and change nothing either", async () => {
    const consolePages = createConsole(test.platform.services);
    const paths = fc.oneof(
      fc.constantFrom(
        "/console",
        "/console/sign-in",
        "/console/sign-out",
        "/console/projects/default/domains/development/apps",
      ),
      fc.tuple(oddSegment, oddSegment, oddSegment).map(([a, b, c]) => `/console/projects/${a}/domains/${b}/apps/${c}`),
      oddSegment.map((segment) => `/console/${segment}`),
    );
    const types = fc.constantFrom(
      ...[
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
      ],
    );
    const form = fc.oneof(
      fc.constantFrom(
        "key=x&next=/console",
        "key=%ff%00",
        "next=//evil.example&key=",
        "--x\r\n\r\n",
        '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n--x--',
      ),
      fc.string({ unit: "binary", maxLength: 30 }),
    );
    const cookie = fc.oneof(fc.constantFrom("", "=", ";;", "appctl-session-default=x", "%ff=%ff", 'a="b'), headerText);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "POST", "PUT"),
        paths,
        query,
        types,
        form,
        cookie,
        async (method, path, pairs, type, body, jar) => {
          tally.add();
          const search = new URLSearchParams(
            pairs.map(([key, value]): [string, string] => [key, value.toWellFormed()]),
          );
          const request = new Request(`${test.platform.url}${path}?${search}`, {
            method,
            headers: { "content-type": type, cookie: jar },
            ...(method === "GET" ? {} : { body }),
          });
          const response = await consolePages.fetch(request);
          const text = await response.text();
          expect(
            response.status,
            `${method} ${path} ${type} ${JSON.stringify(body)}: ${text.slice(0, 100)}`,
          ).toBeLessThan(500);
          // Nobody is signed in by any of it, and nobody is led elsewhere.
          expect(response.headers.get("location") ?? "/console").toMatch(/^\/console(?:[/?]|$)/);
          expect(response.headers.get("set-cookie") ?? "").not.toMatch(/session[^=]*=[^;]/);
          state.expectUnchanged(false);
        },
      ),
      runs(3000),
    );
    state.expectUnchanged(true);
  });

  it("leave the platform fit for the next request, and nobody's prototype changed", async () => {
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(await test.client.getApp({ project: "default", domain: "development", name: "web" })).toMatchObject({
      status: "Running",
    });
  });
});

expectShare("api-requests", tally);
