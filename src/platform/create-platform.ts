/** The platform's composition root: the one place that knows every part and how they are put together. */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { PlatformStatus } from "../contract/types.ts";
import { parseApiKey } from "../core/api-key.ts";
import { AppctlError, ExitCode } from "../core/errors.ts";
import { version } from "../core/package-files.ts";
import { adminKeyFile, proofOf } from "../core/platform-file.ts";
import { Redacted } from "../core/redacted.ts";
import { writeDurably } from "../core/write-durably.ts";
import type { Engine } from "../engine/engine.ts";
import type { OciLayout } from "../oci/layout.ts";
import type { RemoteHost, SupervisorFacts } from "../supervisor/remote-host.ts";
import { Addresses } from "./addresses.ts";
import { createApi } from "./api/api.ts";
import type { Services } from "./api/context.ts";
import { countCrash } from "./apps/crash-count.ts";
import { Deployer } from "./apps/deployer.ts";
import { EventLog } from "./apps/event-log.ts";
import { ProofOfLive } from "./apps/proof-of-live.ts";
import { Builds } from "./builds/build-queue.ts";
import { knownAnswer } from "./builds/do-task.ts";
import { runWorker } from "./builds/run-worker.ts";
import { createConsole } from "./console/console.ts";
import { ConsoleSessions } from "./console/sessions.ts";
import { type Front, GatewayFront, OwnFront } from "./front.ts";
import { BlobStore } from "./images/blob-store.ts";
import { Garbage } from "./images/image-garbage.ts";
import { createRegistry } from "./images/registry-api/registry-api.ts";
import { wholeImage } from "./images/whole-image.ts";
import { KeyStore, LOCAL_KEY } from "./keys/key-store.ts";
import { SecretStore } from "./secrets/secret-store.ts";
import { AppStore } from "./store/app-store.ts";
import { Database } from "./store/database.ts";

/** How long requests may take to end when the platform stops, in milliseconds. */
const STOP_GRACE_MS = 5000;

/** How long requests may take to end when another platform takes over, in milliseconds: who waits asks that one again. */
const HAND_OVER_MS = 500;

/** What an engine gets from the platform. */
export interface EngineContext {
  stateDir: string;
  images: OciLayout;
  readSecret(id: string, version: number): Promise<Redacted<Buffer>>;
  report(message: string): void;
}

/** How a platform is set up. */
export interface PlatformOptions {
  stateDir: string;
  host: string;
  /** 0 asks the kernel for a free one. */
  port: number;
  /** Origin for people; default `http://localhost:<port>`. */
  url: string | undefined;
  /** What sub-domains stand before. Default `apps.localhost`. */
  appsDomain: string | undefined;
  /** File with the master key; default `master.key` in the state directory. */
  masterKeyFile: string | undefined;
  /** Folders with unpacked images and layers, named by their digests. Default: none. */
  contentDirs?: () => string[];
  /** Environment of the npm that builds images. */
  env: NodeJS.ProcessEnv;
  engine(context: EngineContext): Promise<Engine>;
  now(): Date;
  report(message: string): void;
  /** Called when the API was asked to stop the platform. */
  onStop(): void;
  /** The supervisor that it runs below: its gateways serve the public port. Without one the platform does so itself. */
  above?: { host: RemoteHost; facts: SupervisorFacts; runtimeDir: string; workers: number } | undefined;
}

/** A running platform. */
export interface Platform {
  port: number;
  url: string;
  /** Where this machine reaches it, whatever names resolve to. */
  address: string;
  proofKey: string;
  services: Services;
  /** Ends everything gracefully: no new requests, replicas drained, database closed. */
  close(): Promise<void>;
  /** Ends this platform alone: replicas and gateways go on for the next one. */
  handOver(): Promise<void>;
}

/** Puts a platform together, lets it listen and brings its apps back into their wanted state. */
export async function createPlatform(options: PlatformOptions): Promise<Platform> {
  const { stateDir, now, report, above } = options;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  chmodSync(stateDir, 0o700);
  const db = new Database(join(stateDir, "platform.db"));
  for (const { table, finding } of db.damage()) {
    report(`the table ${table} of ${join(stateDir, "platform.db")} is damaged: ${finding}`);
  }
  const store = new AppStore(db, now);
  const secrets = new SecretStore(db, masterKey(options, db), now);
  const keys = new KeyStore(db, now, report);
  const log = new EventLog(store);
  const proof = new ProofOfLive(above && ((host) => (front as Front).allowProbe(host)));
  const images = new BlobStore(join(stateDir, "images"), now);
  const contentDirs = options.contentDirs ?? (() => []);
  const locksDir = join(stateDir, "builds", "locks");
  const garbage = new Garbage({ images, store, contentDirs, locksDir, now, report });
  const dirs = { imagesDir: images.dir, cacheDir: join(stateDir, "builds") };
  const { env } = options;
  const builds = new Builds({
    run: (task, work) => runWorker({ task, ...dirs }, { ...work, env }),
    known: (task, signal) => knownAnswer(task, { ...dirs, env, cwd: process.cwd(), signal }),
    report,
  });
  const sessions = new ConsoleSessions(now, (id) => keys.isValid(id));
  const engine = await options.engine({
    stateDir,
    images,
    readSecret: async (id, version) => secrets.read(id, version),
    report,
  });

  let addresses: Addresses | undefined;
  const addressesNow = () => {
    if (!addresses) throw new Error("the platform does not listen yet");
    return addresses;
  };
  let fetchApi: (request: Request, bindings: { incoming: IncomingMessage }) => Response | Promise<Response>;
  const parts = {
    store,
    engine,
    keys,
    proof,
    fetch: (request: Request, bindings: { incoming: IncomingMessage }) => fetchApi(request, bindings),
    addresses: addressesNow,
  };
  const front: Front = above ? new GatewayFront(parts, options, above) : new OwnFront(parts, options);
  const port = await front.listen();
  const everywhere = options.host === "0.0.0.0" || options.host === "::";
  const localHost = everywhere ? "127.0.0.1" : options.host;
  const address = `http://${localHost.includes(":") ? `[${localHost}]` : localHost}:${port}`;
  addresses = new Addresses({
    url: options.url ?? `http://localhost:${port}`,
    appsDomain: options.appsDomain ?? "apps.localhost",
  });

  const startedAt = now().toISOString();
  const openDeployments = store.all().flatMap(({ id }) => store.openDeployments(id).map((open) => `${id}/${open.id}`));
  const hasCrashed = above?.facts.hasCrashed === true;
  const deployer = new Deployer({
    givenUp: countCrash(join(stateDir, "crashes.json"), openDeployments, hasCrashed),
    store,
    log,
    engine,
    secrets,
    addresses,
    proof,
    image: wholeImage(images),
    listener: () => ({ host: localHost, port }),
    insideAddress: address,
    report,
  });
  const proofKey = randomBytes(32).toString("hex");
  const status = (): PlatformStatus => ({
    service: "appctl",
    version: version(),
    pid: process.pid,
    ...(above
      ? {
          supervisorPid: above.facts.pid,
          supervisorVersion: above.facts.version,
          gatewayPids: above.host.gatewayPids,
          restarts: above.facts.restarts,
        }
      : {}),
    url: addressesNow().url,
    engine: engine.facts().name,
    runtime: engine.facts().runtime,
    stateDirectory: stateDir,
    startedAt,
    node: process.version,
    apps: store.all().length,
    limits: engine.facts().limits,
    isolation: engine.facts().isolation,
  });
  const services: Services = {
    store,
    log,
    deployer,
    engine,
    secrets,
    keys,
    images,
    garbage,
    builds,
    addresses,
    sessions,
    status,
    proof: (nonce) => proofOf(proofKey, nonce),
    stop: options.onStop,
  };
  const api = createApi(services, report);
  const console = createConsole(services);
  const registry = createRegistry(services, now, report);
  fetchApi = (request, bindings) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/console")) return console.fetch(request);
    return /^\/v2(?:\/|$)/.test(pathname) ? registry(request, bindings) : api.fetch(request, bindings);
  };

  localKey(stateDir, keys, addresses.url);
  await deployer.resume();
  await engine.resumed?.();
  await front.open();
  garbage.start();
  return {
    port,
    url: addresses.url,
    address,
    proofKey,
    services,
    async handOver() {
      await front.handOver(HAND_OVER_MS);
      await builds.close();
      await garbage.stop();
      await deployer.close();
      keys.flush();
      db.close();
    },
    async close() {
      const closing = front.close(STOP_GRACE_MS);
      await builds.close();
      await garbage.stop();
      await deployer.close();
      // What lasts longer (a WebSocket, say) is broken off by then, and so does not hold its replica.
      await engine.close();
      await closing;
      keys.flush();
      db.close();
    },
  };
}

/** The master key: 32 bytes in base64, made at the first start. A lost one is an error, never silently a new one. */
function masterKey(options: PlatformOptions, db: Database): Redacted<Buffer> {
  const file = options.masterKeyFile ?? join(options.stateDir, "master.key");
  if (!existsSync(file)) {
    if (db.get("SELECT 1 FROM secrets LIMIT 1")) {
      throw new AppctlError({
        code: "MASTER_KEY_MISSING",
        exit: ExitCode.unavailable,
        message: `the master key ${file} is missing: stored secrets cannot be read without it`,
        hint: "restore the file, or name it with APPCTL_MASTER_KEY_FILE",
      });
    }
    writeDurably(file, `${randomBytes(32).toString("base64")}\n`);
  }
  const key = Buffer.from(readFileSync(file, "utf8").trim(), "base64");
  if (key.length !== 32) {
    throw new AppctlError({
      code: "MASTER_KEY_MALFORMED",
      exit: ExitCode.unavailable,
      message: `the master key ${file} is not 32 bytes in base64`,
    });
  }
  return new Redacted(key);
}

/** The key that the CLI of the same user reads from a 0600 file: made at the first start, and again when it does not fit. */
function localKey(stateDir: string, keys: KeyStore, url: string): void {
  const file = adminKeyFile(stateDir);
  const existing = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  const fits = keys.verifyKey(existing)?.name === LOCAL_KEY && parseApiKey(existing)?.endpoint === url;
  if (fits) return;
  if (keys.has(LOCAL_KEY)) keys.replace(LOCAL_KEY);
  const { key } = keys.create(LOCAL_KEY, url);
  writeDurably(file, `${key.reveal()}\n`);
}
