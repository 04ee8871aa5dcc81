/** The runtime `docker`: a replica is a container of an engine on this machine that speaks Docker's API, as Podman does. */
import { createHash, randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { type EngineApi, EngineApiError } from "../../../container-engine/docker-api.ts";
import { engineSockets } from "../../../container-engine/socket.ts";
import { LIMITS } from "../../../contract/limits.ts";
import type { AppRef, AppSpec, FailureCause } from "../../../contract/types.ts";
import { type Fault, messageOf } from "../../../core/errors.ts";
import type { NoteKeeper } from "../../../core/replica-host.ts";
import type { PinnedSecret, RunnableRevision } from "../../engine.ts";
import { type Clock, systemClock } from "../clock.ts";
import { withEntrypoint } from "../entrypoint.ts";
import { FreePorts } from "../process/free-port.ts";
import { readSecret, type SecretReader, secretFilesRoot, secretText } from "../process/secret-values.ts";
import {
  type AdoptedReplica,
  type Content,
  type OutputLog,
  type OutputSink,
  type RunningReplica,
  type Runtime,
  StartFailure,
  type StartRequest,
} from "../runtime.ts";
import { AppImages, type OutlineReader, type ReadyImage } from "./app-images.ts";
import {
  type ContainerBody,
  type ContainerNetwork,
  containerBody,
  DEFAULT_TMP,
  Label,
  USER,
} from "./container-body.ts";
import { containerEnv } from "./container-env.ts";
import type { ContainerState } from "./container-exit.ts";
import { imageNotLoaded, notStarted } from "./docker-failures.ts";
import { attach, DockerReplica } from "./docker-replica.ts";
import { infoOf, type KeptLimits, unkeptLimits } from "./engine-info.ts";
import { type FoundEngine, findEngine } from "./find-engine.ts";
import { ImageLoader, type ImageReader } from "./image-loader.ts";
import { type LaunchSecrets, launchCommand } from "./launch-command.ts";
import { filePaths, writeLaunchDirectory } from "./launch-directory.ts";
import { type PlatformRelay, PlatformRelays } from "./platform-relay.ts";
import { ProjectNetworks } from "./project-networks.ts";

/** The signal of what goes on whatever happens. */
const NEVER = new AbortController().signal;

/** What the runtime needs. Directories are absolute. */
export interface DockerRuntimeOptions {
  /** Names the platform: what its engine runs for it is known by it. */
  stateDir: string;
  /** For secrets, where the machine has no place in memory for them. */
  runtimeDir: string;
  /** Reads an image of the platform's store. */
  image: ImageReader;
  /** Reads it with an outline of its app layer, for an engine that can mount files. Absent: images are loaded whole. */
  outline?: OutlineReader | undefined;
  readSecret: SecretReader;
  /** Keeps what the next platform needs to go on with containers. Without it they end with this one. */
  notes?: NoteKeeper | undefined;
  /** Where apps reach the platform (`APPCTL_ENDPOINT`), unless a revision's own environment says so. */
  platformUrl?: string;
  /** The platform's environment: it names the engine's socket, and the language and the time zone of apps. */
  env?: NodeJS.ProcessEnv;
  clock?: Clock;
  log(message: string): void;
}

/** Content of an image that the engine has, with the files that are mounted into the container. */
type LoadedContent = Content & ReadyImage;

interface InspectedContainer {
  State: ContainerState;
  NetworkSettings: { Ports?: Record<string, { HostPort: string }[] | null> | null };
}

/**
 * Makes the runtime `docker`. Throws an `AppctlError` when no engine answers, with what was tried.
 */
export async function createDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  const { api, hasBridge } = await findEngine(engineSockets(options.env ?? {}));
  const { hasSelinux, kept } = await infoOf(api, options.log);
  const outline = hasSelinux ? undefined : options.outline;
  return new DockerRuntime({ ...options, outline }, { api, hasBridge, kept });
}

class DockerRuntime implements Runtime {
  readonly name = "docker";
  readonly #options: DockerRuntimeOptions;
  readonly #api: EngineApi;
  readonly #hasBridge: boolean;
  readonly #engine: string;
  readonly #kept: KeptLimits;
  readonly #platform: string;
  readonly #secrets: string;
  readonly #images: AppImages;
  readonly #networks: ProjectNetworks;
  readonly #relays: PlatformRelays;
  readonly #ports = new FreePorts();
  /** Containers of an earlier platform that run and that nothing has adopted yet, with what that one knew of them. */
  readonly #orphans = new Map<string, ContainerNote>();
  /** Turned off by the first engine that has no first process of its own. */
  #init = true;
  /** The engine did not answer when it was last asked for something that a replica needs. */
  #away = false;

  constructor(options: DockerRuntimeOptions, { api, hasBridge, kept }: FoundEngine & { kept: KeptLimits }) {
    this.#options = options;
    this.#api = api;
    this.#hasBridge = hasBridge;
    this.#engine = api.isPodman ? "Podman" : "Docker";
    this.#kept = kept;
    this.#platform = `appctl-${createHash("sha256").update(options.stateDir).digest("hex").slice(0, 10)}`;
    this.#secrets = secretFilesRoot(this.#platform, options.runtimeDir);
    const { image, outline, log } = options;
    this.#images = new AppImages({ loader: new ImageLoader(api, this.#platform), image, outline, log });
    this.#networks = new ProjectNetworks(api, this.#platform);
    this.#relays = new PlatformRelays(api.isPodman);
  }

  facts() {
    const engine = this.#engine;
    const held = (kept: boolean | undefined, how: string) => {
      if (kept === undefined) return `not known: ${engine} does not say`;
      return kept ? `hard: ${engine}${how}` : `none: ${engine} keeps none here`;
    };
    const isOld = this.#api.isPodman && !this.#api.hasLibpod;
    const network = this.#hasBridge
      ? `a network for each project, with no way in but 127.0.0.1${isOld ? "; before Podman 4.2 projects may reach each other" : ""}`
      : `${engine} has no bridge here: the machine's own network, so apps can reach each other`;
    return {
      limits: {
        cpu: held(this.#kept.cpu, ""),
        mem: held(this.#kept.mem, "; no swap"),
        tasks: held(this.#kept.tasks, `, ${LIMITS.replicaTasks.value}`),
        storage: `hard: only memory can be written: /tmp, ${DEFAULT_TMP} or limits.ephemeralStorage; /dev/shm, sharedMemory or what ${engine} gives, usually 64Mi${this.#api.isPodman ? "; /run and /var/tmp, up to limits.mem" : ""}`,
      },
      isolation: `containers (${engine} at ${this.#api.socketPath}): user ${USER}, read-only root, no capabilities; ${network}`,
      needsBase: true,
      platform: this.#api.platform,
    };
  }

  check(spec: AppSpec): Fault[] {
    if (spec.accelerator === undefined) return [];
    return [{ path: "accelerator", message: '"accelerator" is not honoured by the runtime "docker": remove it' }];
  }

  warnings(spec: AppSpec): string[] {
    const warnings = unkeptLimits(spec, this.#kept, this.#engine);
    if ((spec.permissions ?? []).length > 0)
      warnings.push(`${spec.name}: "permissions" has no effect in a container, which confines an app by other means`);
    return warnings;
  }

  async recover(): Promise<void> {
    const query = { all: "1", filters: { label: [`${Label.platform}=${this.#platform}`] } };
    const left = await this.#api.json<{ Id: string; State: string }[]>("GET", "/containers/json", { query });
    const notes = this.#options.notes?.notes();
    const ended = await Promise.all(
      left.map(async ({ Id, State }) => {
        const note = noteOf(notes?.get(Id));
        if (note && State === "running") {
          this.#orphans.set(Id, note);
          return false;
        }
        try {
          this.#options.notes?.keepNote(Id, null);
          await this.#remove(Id);
          return State === "running";
        } catch (error) {
          this.#goOnWithout(`container ${Id.slice(0, 12)} of an earlier platform`, error);
          return false;
        }
      }),
    );
    await this.#networks.removeAll().catch((error: unknown) => {
      this.#goOnWithout("a network of an earlier platform", error);
    });
    if (this.#orphans.size === 0) await rm(this.#secrets, { recursive: true, force: true });
    const ran = ended.filter(Boolean).length;
    if (ran > 0) this.#options.log(`ended ${ran} replica(s) that an earlier platform left running`);
  }

  adopt(ref: AppRef, revision: RunnableRevision, _: OutputLog, output: OutputSink): AdoptedReplica | undefined {
    const { project, domain, name } = ref;
    for (const [container, note] of this.#orphans) {
      if (note.revision !== revision.name || !isDeepStrictEqual(note.ref, { project, domain, name })) continue;
      this.#orphans.delete(container);
      if (note.ownPort !== undefined) this.#ports.claim(note.ownPort);
      void this.#reopenRelay(ref, revision, note);
      const { replica, content, startedAt, restarts } = note;
      // What it prints is read again from now on.
      const running = this.#replicaOf(container, note, { sink: output, output: Readable.from([]) });
      return { replica, running, content, startedAt, restarts };
    }
    return undefined;
  }

  async endOrphans(): Promise<void> {
    const orphans = [...this.#orphans.keys()];
    this.#orphans.clear();
    for (const container of orphans) {
      await this.#remove(container).catch((error: unknown) => {
        this.#goOnWithout(`container ${container.slice(0, 12)} of an earlier platform`, error);
      });
      this.#options.notes?.keepNote(container, null);
    }
    if (orphans.length > 0) this.#options.log(`ended ${orphans.length} replica(s) that no app wants any more`);
  }

  async prepare(ref: AppRef, revision: RunnableRevision, signal: AbortSignal): Promise<LoadedContent> {
    return this.#ready(revision, () => this.#images.prepare(ref, revision.digest, signal));
  }

  /** Content, made ready by `prepare`. Throws a {@link StartFailure}. */
  async #ready({ digest }: RunnableRevision, prepare: () => Promise<ReadyImage>): Promise<LoadedContent> {
    try {
      const image = await prepare();
      this.#answered();
      return { dir: "/app", packagesDir: undefined, roots: ["/app"], ...image };
    } catch (error) {
      if (error instanceof StartFailure) throw error;
      throw this.#failed(imageNotLoaded(digest, error), error);
    }
  }

  async start(request: StartRequest): Promise<RunningReplica> {
    const { spec } = request.revision;
    const id = randomBytes(4).toString("hex");
    const ownPort = this.#hasBridge ? undefined : await this.#ports.take();
    const ended = () => this.#releaseOf(id, ownPort);
    const { ref, revision } = request;
    const whole = () => this.#images.prepareWhole(ref, revision.digest, NEVER);
    let content = request.content as LoadedContent;
    try {
      // It may have been made ready long ago.
      if (content.files && !this.#images.canMount(content.files)) content = await this.#ready(revision, whole);
      return await this.#start({ ...request, content }, id, ownPort, ended).catch(async (error: unknown) => {
        if (content.files && this.#images.cannotMount(error, content.files))
          content = await this.#ready(revision, whole);
        else if (!this.#networks.forgetMissing(ref.project, error)) throw error;
        await rm(join(this.#secrets, id), { recursive: true, force: true });
        return this.#start({ ...request, content }, id, ownPort, ended);
      });
    } catch (error) {
      await ended();
      if (error instanceof StartFailure) throw error;
      // What could not be started may be the image's entry point.
      throw this.#failed(notStarted(withEntrypoint(spec, request.content), error), error);
    }
  }

  async retain(ref: AppRef, needed: () => ReadonlySet<string> | undefined): Promise<void> {
    await this.#images.retain(ref, needed);
  }

  async forget(ref: AppRef): Promise<void> {
    await this.#images.forget(ref);
  }

  async close(): Promise<void> {
    await this.#relays.close();
    await this.#networks.removeAll().catch((error: unknown) => {
      this.#options.log(`networks could not be removed: ${messageOf(error)}`);
    });
    await rm(this.#secrets, { recursive: true, force: true });
    this.#api.close();
  }

  async #start(
    request: StartRequest,
    id: string,
    ownPort: number | undefined,
    ended: () => Promise<void>,
  ): Promise<RunningReplica> {
    const { ref, revision } = request;
    const { spec } = revision;
    const { reference, entrypoint, files: appFiles = [] } = request.content as LoadedContent;
    const token = spec.kind === "framework" ? randomBytes(32).toString("hex") : undefined;
    const { variables, files } = await this.#readSecrets(revision.secrets);
    const launch = launchCommand(withEntrypoint(spec, { entrypoint }), { variables, token });
    const { network, endpoint, afterStart } = await this.#networkOf(request, ownPort);
    const port = ownPort ?? spec.port;
    const body = containerBody({
      platform: this.#platform,
      ref,
      revision: revision.name,
      replica: request.replica,
      image: reference,
      spec,
      program: launch.program,
      env: containerEnv({
        host: this.#options.env ?? {},
        endpoint,
        revision: revision.env,
        port,
        listen: network.mode === "bridge" ? "0.0.0.0" : "127.0.0.1",
        files: filePaths(files.keys()),
        signalsGroup: spec.kind === "command",
      }),
      launchDir:
        launch.file || files.size > 0 ? writeLaunchDirectory(this.#secrets, id, launch.file, files) : undefined,
      appFiles,
      network,
      tmpOwner: !this.#api.isPodman,
      init: this.#init,
    });
    const name = `${this.#platform}-${request.replica}-${id}`;
    const container = await this.#create(name, body);
    let output: Readable | undefined;
    try {
      await this.#images.provePodman(this.#api, container.Id, appFiles);
      output = await attach(this.#api, container.Id);
      await this.#api.json("POST", `/containers/${container.Id}/start`);
      await afterStart?.();
      const { State, NetworkSettings } = await this.#api.json<InspectedContainer>(
        "GET",
        `/containers/${container.Id}/json`,
      );
      // Without a port it has ended already: nobody answers at 0.
      const published = Number(NetworkSettings.Ports?.[`${port}/tcp`]?.[0]?.HostPort ?? 0);
      const { project, domain, name: app } = ref;
      const note: ContainerNote = {
        ref: { project, domain, name: app },
        revision: revision.name,
        replica: request.replica,
        startedAt: (this.#options.clock ?? systemClock).now(),
        restarts: request.restarts,
        content: request.content,
        id,
        pid: State.Pid > 0 ? State.Pid : null,
        engineStartedAt: State.StartedAt,
        address: { host: "127.0.0.1", port: ownPort ?? published },
        port,
        ...(ownPort === undefined ? {} : { ownPort }),
        ...(token === undefined ? {} : { token }),
        isLimited: spec.limits.mem !== undefined && this.#kept.mem !== false,
      };
      this.#options.notes?.keepNote(container.Id, JSON.stringify(note));
      return this.#replicaOf(container.Id, note, { sink: request.output, output });
    } catch (error) {
      output?.destroy();
      await this.#remove(container.Id).catch(() => {
        // the next start of the platform tries again
      });
      if (this.#lacksInit(body, error)) {
        await rm(join(this.#secrets, id), { recursive: true, force: true });
        return this.#start(request, id, ownPort, ended);
      }
      throw error;
    }
  }

  /** A container as a replica. Its secrets and its port go with it. */
  #replicaOf(container: string, note: ContainerNote, { sink, output }: { sink: OutputSink; output: Readable }) {
    const { id, pid, engineStartedAt: startedAt, address, port, ownPort, token, isLimited: limited } = note;
    return new DockerReplica({
      ...{ api: this.#api, id: container, pid, startedAt, address, port, token, limited, output, sink },
      now: () => (this.#options.clock ?? systemClock).now(),
      log: this.#options.log,
      ended: async () => {
        await this.#remove(container).catch((error: unknown) => {
          // The next start of the platform tries again.
          this.#options.log(`container ${container.slice(0, 12)} could not be removed: ${messageOf(error)}`);
        });
        this.#options.notes?.keepNote(container, null);
        await this.#releaseOf(id, ownPort);
      },
    });
  }

  /** Lets go of what a replica had outside of its container. Never rejects. */
  async #releaseOf(id: string, ownPort: number | undefined): Promise<void> {
    if (ownPort !== undefined) this.#ports.release(ownPort);
    await rm(join(this.#secrets, id), { recursive: true, force: true }).catch((error: unknown) => {
      this.#options.log(`what replica ${id} had could not be removed: ${messageOf(error)}`);
    });
  }

  /** The way from an adopted container to this platform, at the address that it knows. */
  async #reopenRelay(ref: AppRef, revision: RunnableRevision, { ownPort }: ContainerNote): Promise<void> {
    const endpoint = revision.env["APPCTL_ENDPOINT"] ?? this.#options.platformUrl;
    if (ownPort !== undefined || endpoint === undefined) return;
    try {
      const { gateway } = await this.#networks.of(ref.project);
      await (await this.#relays.open(endpoint, gateway)).afterStart?.();
    } catch (error) {
      this.#options.log(`apps of project ${ref.project} do not reach the platform: ${messageOf(error)}`);
    }
  }

  /** The failure to throw. The platform's log reports once that the engine is away; it explains every app's state. */
  #failed(failure: FailureCause, cause: unknown): StartFailure {
    if (failure.code === "RUNTIME_UNAVAILABLE" && !this.#away) {
      this.#away = true;
      this.#options.log(`${failure.message}; it is asked again until it does`);
    }
    return new StartFailure(failure, { cause });
  }

  #answered(): void {
    if (this.#away) this.#options.log("the container engine answers again");
    this.#away = false;
  }

  async #create(name: string, body: ContainerBody): Promise<{ Id: string }> {
    const create = () => this.#api.json<{ Id: string }>("POST", "/containers/create", { query: { name }, body });
    try {
      return await create();
    } catch (error) {
      if (!this.#lacksInit(body, error)) throw error;
      body.HostConfig["Init"] = false;
      return create();
    }
  }

  /** Whether the engine has no init program for a container that was to have one. Of several that start at once, each gets this answer. */
  #lacksInit(body: ContainerBody, error: unknown): boolean {
    if (body.HostConfig["Init"] !== true || !isWithoutInit(error)) return false;
    if (this.#init)
      this.#options.log("the container engine has no init program: apps are the first process of their container");
    this.#init = false;
    return true;
  }

  async #networkOf(
    { ref, revision }: StartRequest,
    ownPort: number | undefined,
  ): Promise<{ network: ContainerNetwork; endpoint: string | undefined; afterStart?: PlatformRelay["afterStart"] }> {
    const wanted = revision.env["APPCTL_ENDPOINT"] ?? this.#options.platformUrl;
    if (ownPort !== undefined) return { network: { mode: "host" }, endpoint: wanted };
    const { name, gateway } = await this.#networks.of(ref.project);
    const relay = wanted === undefined ? undefined : await this.#relays.open(wanted, gateway);
    return {
      network: { mode: "bridge", name, port: revision.spec.port, hosts: relay?.hosts ?? [] },
      endpoint: relay?.endpoint,
      afterStart: relay?.afterStart,
    };
  }

  async #readSecrets(
    secrets: readonly PinnedSecret[],
  ): Promise<{ variables: LaunchSecrets["variables"]; files: Map<string, Uint8Array> }> {
    const variables: Record<string, string> = {};
    const files = new Map<string, Uint8Array>();
    const values = await Promise.all(secrets.map((secret) => readSecret(secret, this.#options.readSecret)));
    for (const [at, { key, envVar, mount }] of secrets.entries()) {
      const bytes = values[at]?.reveal();
      if (bytes === undefined) continue;
      if (mount === "file") files.set(envVar, bytes);
      else variables[envVar] = secretText(key, bytes);
    }
    return { variables, files };
  }

  /** One thing that an engine cannot remove must not keep the platform down. Throws when there is no engine. */
  #goOnWithout(what: string, error: unknown): void {
    if (!(error instanceof EngineApiError)) throw error;
    this.#options.log(`${what} could not be removed, and is left: ${error.message}`);
  }

  async #remove(container: string): Promise<void> {
    try {
      await this.#api.json("DELETE", `/containers/${container}`, { query: { force: "1", v: "1" } });
    } catch (error) {
      if (!(error instanceof EngineApiError && (error.status === 404 || error.status === 409))) throw error;
    }
  }
}

/** What the next platform needs to go on with a container. The supervisor keeps it in memory, since a token is in it. */
interface ContainerNote {
  ref: AppRef;
  revision: string;
  replica: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  restarts: number;
  content: Content;
  /** Names the replica's directory of secrets. */
  id: string;
  pid: number | null;
  engineStartedAt: string;
  address: { host: string; port: number };
  port: number;
  /** A port of the machine, where the engine has no bridge. */
  ownPort?: number;
  token?: string;
  isLimited: boolean;
}

function noteOf(text: string | undefined): ContainerNote | undefined {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // of another version
  }
}

/** Docker calls it docker-init, Podman catatonit. */
function isWithoutInit(error: unknown): boolean {
  return /docker-init|catatonit|init binary|container-init/i.test(messageOf(error));
}
