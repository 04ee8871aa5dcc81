/** A platform in this process, with the real engine: for tests that hold it at a step or look inside. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import type { AppRef, AppSpec, ImageReference } from "../../src/contract/types.ts";
import { Redacted } from "../../src/core/redacted.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { buildEnvironment, planEnvironment } from "../../src/image/environment-image.ts";
import { unpackApp } from "../../src/image/unpack.ts";
import { hostTarget, targetName } from "../../src/packages/npm-target.ts";
import { createPlatform, type EngineContext, type Platform } from "../../src/platform/create-platform.ts";
import { contentDirs } from "../../src/platform/leftovers.ts";
import { ReplicaKeeper } from "../../src/supervisor/replica-keeper.ts";
import { createProcessEngine, type ProcessEngineOptions } from "../engine/process-engine.ts";
import { buildAppImage } from "../image/build-app-image.ts";
import { register } from "./canary.ts";
import { expectNoSecrets } from "./secret-search.ts";

/** What {@link startPlatform} may be told. */
export interface PlatformSetup {
  /** Options of the local engine; ignored with `makeEngine`. */
  engine?: Partial<ProcessEngineOptions>;
  makeEngine?: (context: EngineContext) => Promise<Engine>;
  /** A state directory to go on with. */
  dir?: string;
  now?: () => Date;
  /** Environment of the npm that builds images, beside PATH and a home directory in `dir`. */
  env?: NodeJS.ProcessEnv;
}

/** A running platform, a client of it and its directory. */
export interface TestPlatform {
  platform: Platform;
  client: Client;
  dir: string;
  /** What the platform reported to its log. */
  reports: string[];
  close(keep?: boolean): Promise<void>;
}

export const scope = { project: "default", domain: "development" };

export async function startPlatform(setup: PlatformSetup = {}): Promise<TestPlatform> {
  const dir = setup.dir ?? mkdtempSync(join(tmpdir(), "ap-"));
  const reports: string[] = [];
  const platform = await createPlatform({
    stateDir: join(dir, "state"),
    host: "127.0.0.1",
    port: 0,
    url: undefined,
    appsDomain: undefined,
    masterKeyFile: undefined,
    env: { PATH: process.env["PATH"], HOME: dir, ...setup.env },
    now: setup.now ?? (() => new Date()),
    report: (message) => reports.push(message),
    onStop: () => undefined,
    contentDirs: () => contentDirs({ state: join(dir, "state"), shared: undefined }),
    engine:
      setup.makeEngine ??
      (({ stateDir, images, readSecret, report }) =>
        createProcessEngine({
          stateDir,
          runtimeDir: join(dir, "run"),
          node: process.execPath,
          prepare: (digest) => unpackApp(images, digest, join(stateDir, "content")),
          readSecret,
          log: report,
          host: new ReplicaKeeper(),
          ...setup.engine,
          platform: targetName(hostTarget()),
        })),
  });
  const apiKey = new Redacted(readFileSync(join(dir, "state", "admin.key"), "utf8").trim());
  const client = new Client({ endpoint: `http://127.0.0.1:${platform.port}`, apiKey });
  return {
    platform,
    client,
    dir,
    reports,
    async close(keep = false) {
      await client.close();
      await platform.close();
      if (existsSync(dir)) searchPlatform(dir, reports);
      if (!keep && existsSync(dir)) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Everything below a platform's directory and in its log, for the secrets that were registered and its own two keys. */
function searchPlatform(dir: string, reports: string[]): void {
  const allowed = new Map<string, Set<string>>();
  for (const [file, name] of [
    ["admin.key", "the local admin key"],
    ["master.key", "the master key"],
  ] as const) {
    const path = join(dir, "state", file);
    allowed.set(path, new Set([register(name, readFileSync(path, "utf8").trim())]));
  }
  const texts = reports.map((text): [string, string] => ["the platform's log", text]);
  expectNoSecrets({ what: `the platform in ${dir}`, dirs: [dir], texts, allowed });
}

/** The spec of an app that runs `node server.mjs`. */
export function programSpec(name: string, more: Partial<AppSpec> = {}): AppSpec {
  return {
    name,
    kind: "args",
    args: ["node", "server.mjs"],
    port: 8080,
    requiresAuth: false,
    env: {},
    secrets: [],
    limits: {},
    minReplicas: 0,
    maxReplicas: 1,
    requestTimeout: 30,
    startTimeout: 60,
    links: [],
    ...more,
  };
}

/** Puts an image with `server.mjs` straight into the platform's store. */
export async function programImage({ platform, dir }: TestPlatform, server: string): Promise<ImageReference> {
  const layout = platform.services.images;
  const context = {
    appDir: dir,
    cacheDir: join(dir, "cache"),
    cwd: dir,
    env: process.env,
    signal: new AbortController().signal,
  };
  const plan = await planEnvironment({ name: "program-image" }, context);
  const environment = await buildEnvironment(plan, layout, context);
  const image = await buildAppImage({
    environment,
    files: [{ path: "server.mjs", bytes: Buffer.from(server) }],
    config: {},
    layout,
  });
  return { reference: image.reference, digest: image.digest };
}

/** A server program that answers `text`, and the lines of `more` before it listens. */
export function server(text: string, more = ""): string {
  return `import { createServer } from "node:http";
    ${more}
    createServer((req, res) => res.end(${JSON.stringify(text)})).listen(process.env.PORT, "127.0.0.1");`;
}

export const refOf = (name: string): AppRef => ({ ...scope, name });
