/** What the engine's tests share: images made by hand, an engine on temporary directories, a client for leases. */
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import { REPLICA_TOKEN_HEADER } from "../../src/contract/headers.ts";
import type { AppRef, AppSpec, LogLine } from "../../src/contract/types.ts";
import type { Lease } from "../../src/core/lease.ts";
import { Redacted } from "../../src/core/redacted.ts";
import type { Condition, Engine, LogQuery, PinnedSecret, RunnableRevision } from "../../src/engine/engine.ts";
import { hostTarget, targetName } from "../../src/packages/npm-target.ts";
import { ReplicaKeeper } from "../../src/supervisor/replica-keeper.ts";
import { register } from "../support/canary.ts";
import { atFileEnd } from "../support/file-end.ts";
import { expectNoSecrets } from "../support/secret-search.ts";
import { createProcessEngine, type ProcessEngineOptions } from "./process-engine.ts";

const repository = join(import.meta.dirname, "..", "..");

/** A directory that is removed after the test. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), "ae-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

let shim: Promise<string> | undefined;

/** The server shim, built as the product builds it; once for each test file. */
export function builtShim(): Promise<string> {
  shim ??= (async () => {
    const dir = mkdtempSync(join(tmpdir(), "ae-shim-"));
    atFileEnd(() => {
      shim = undefined;
      rmSync(dir, { recursive: true, force: true });
    });
    const file = join(dir, "serve.mjs");
    await build({
      entryPoints: [join(repository, "src/serve/serve.ts")],
      outfile: file,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node22.19",
      logLevel: "warning",
      banner: {
        js: 'import{createRequire as __appctlRequire}from"node:module";const require=__appctlRequire(import.meta.url);',
      },
    });
    return file;
  })();
  return shim;
}

/** What an image's app layer is made from. */
export interface ImageSource {
  /** Text of `app.ts`. */
  app?: string;
  /** Secrets that the App called `name` declares. */
  name?: string;
  secrets?: { key: string; envVar: string }[];
  /** Further files. */
  files?: Record<string, string>;
}

/** Writes an app layer into `dir`, with the bundle that the deploy pipeline would make of `app`. */
export async function writeContent(dir: string, { app, name = "web", secrets = [], files = {} }: ImageSource) {
  mkdirSync(dir, { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
  writeFileSync(join(dir, "app.json"), JSON.stringify({ apps: { [name]: { secrets } } }));
  cpSync(await builtShim(), join(dir, "serve.mjs"));
  if (app === undefined) return;
  await build({
    stdin: { contents: app, sourcefile: join(dir, "app.ts"), loader: "ts", resolveDir: repository },
    outfile: join(dir, "app.mjs"),
    absWorkingDir: dir,
    bundle: true,
    minify: true,
    keepNames: true,
    format: "esm",
    platform: "node",
    target: "node22.19",
    sourcemap: "linked",
    sourcesContent: false,
    logLevel: "silent",
    external: ["not-installed"],
    alias: { appctl: join(repository, "src/sdk/index.ts") },
    banner: {
      js: 'import{createRequire as __appRequire}from"node:module";const require=__appRequire(import.meta.url);',
    },
  });
}

/** An app file whose fetch handler has `body` as its body; `before` stands at the top level. */
export function fetchApp(body: string, before = ""): string {
  return `import { App } from "appctl";
${before}
export default new App({
  name: "web",
  frameworkApp: { async fetch(request: Request): Promise<Response> { ${body} } },
});
`;
}

/** A spec with every default filled in. */
export function specOf(changes: Partial<AppSpec> = {}): AppSpec {
  return {
    name: "web",
    kind: "framework",
    port: 8080,
    requiresAuth: false,
    env: {},
    secrets: [],
    limits: {},
    minReplicas: 0,
    maxReplicas: 1,
    requestTimeout: 300,
    startTimeout: 60,
    links: [],
    ...changes,
  };
}

export const ref: AppRef = { project: "default", domain: "development", name: "web" };

/** One engine with its images and secrets. */
export interface Harness {
  engine: Engine;
  stateDir: string;
  runtimeDir: string;
  messages: string[];
  secrets: Map<string, Buffer>;
  /** Makes an image and a revision that runs it. */
  revision(
    name: string,
    source: ImageSource,
    more?: { spec?: Partial<AppSpec>; env?: Record<string, string>; secrets?: PinnedSecret[] },
  ): Promise<RunnableRevision>;
  /** Wants `revision` alone, and collects its conditions until the last one. */
  deploy(revision: RunnableRevision): Promise<Condition[]>;
  logs(query?: Partial<LogQuery>): Promise<LogLine[]>;
}

/** The engine's options on directories of the test's own. */
export function engineOptions(
  base: string,
): ProcessEngineOptions & { secrets: Map<string, Buffer>; messages: string[] } {
  const secrets = new Map<string, Buffer>();
  const messages: string[] = [];
  return {
    stateDir: join(base, "state"),
    runtimeDir: join(base, "run"),
    node: process.execPath,
    platform: targetName(hostTarget()),
    prepare: async (digest) => ({ dir: join(base, "content", digest) }),
    readSecret: async (id, version) => {
      const value = secrets.get(`${id}@${version}`);
      if (!value) throw new Error(`no secret ${id} of version ${version}`);
      return new Redacted(value);
    },
    host: new ReplicaKeeper(),
    platformUrl: "http://127.0.0.1:7654",
    env: {},
    log: (message) => messages.push(message),
    secrets,
    messages,
  };
}

/** Starts an engine that is closed after the test. */
export async function startEngine(changes: Partial<ProcessEngineOptions> = {}): Promise<Harness> {
  const base = temporaryDirectory();
  const options = { ...engineOptions(base), ...changes };
  mkdirSync(join(base, "state"));
  const engine = await createProcessEngine(options);
  onTestFinished(async () => {
    await engine.close();
    for (const [id, value] of options.secrets) register(`secret ${id}`, value);
    const texts = options.messages.map((text): [string, string] => ["the engine's log", text]);
    expectNoSecrets({ what: `the engine in ${base}`, dirs: [base], texts });
  });
  const logs: Harness["logs"] = async (query = {}) =>
    await collect(engine.logs(ref, { follow: false, signal: new AbortController().signal, ...query }));
  return {
    engine,
    stateDir: options.stateDir,
    runtimeDir: options.runtimeDir,
    messages: options.messages,
    secrets: options.secrets,
    logs,
    async revision(name, source, more = {}) {
      const digest = randomBytes(6).toString("hex");
      await writeContent(join(base, "content", digest), source);
      return revisionOf(name, digest, more);
    },
    async deploy(revision) {
      await engine.apply({ ref, revisions: [revision], traffic: revision.name });
      return collect(engine.observe(ref, revision.name, new AbortController().signal));
    },
  };
}

/** A revision of the app `web`. */
export function revisionOf(
  name: string,
  digest: string,
  more: { spec?: Partial<AppSpec>; env?: Record<string, string>; secrets?: PinnedSecret[] } = {},
): RunnableRevision {
  return {
    name,
    spec: specOf(more.spec),
    digest,
    env: {
      K_SERVICE: "web",
      K_CONFIGURATION: "web",
      K_REVISION: name,
      APPCTL_APP: "web",
      APPCTL_REVISION: name,
      ...more.env,
    },
    secrets: more.secrets ?? [],
  };
}

/** Everything that an iterable gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Waits until `look` gives something else than undefined, null and false. The test's own time limit ends it. */
export async function until<T>(look: () => T | undefined | null | false): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined && found !== null && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** An answer of a replica. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Sends one request the way the gateway does: with a lease, which it releases when the answer has ended. */
export function call(
  lease: Lease | null,
  path = "/",
  options: { method?: string; body?: string; headers?: Record<string, string>; token?: string | null } = {},
): Promise<Answer> {
  if (!lease) return Promise.reject(new Error("no replica is ready"));
  const token = options.token === undefined ? lease.token : options.token;
  return new Promise<Answer>((resolve, reject) => {
    const req = request(
      {
        ...lease.address,
        path,
        method: options.method ?? "GET",
        agent: false,
        headers: { ...options.headers, ...(token ? { [REPLICA_TOKEN_HEADER]: token } : {}) },
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text) => {
          body += text;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on("error", reject);
      },
    );
    req.on("error", reject);
    req.end(options.body);
  }).finally(() => lease.release());
}
