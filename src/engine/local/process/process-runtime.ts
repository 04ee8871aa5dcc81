/** The runtime `process`: a replica is a child process that runs the unpacked image. Nothing has to be installed for it. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LIMITS } from "../../../contract/limits.ts";
import type { AppRef, AppSpec, FailureCause, Permission } from "../../../contract/types.ts";
import { AppctlError, ExitCode, type Fault, messageOf } from "../../../core/errors.ts";
import { CHANNEL, type HostedReplica, type ReplicaHost } from "../../../core/replica-host.ts";
import { causeOf, engineError } from "../../causes.ts";
import type { RunnableRevision } from "../../engine.ts";
import { DEFAULT_STORAGE, explainFailure } from "../../explain-failure.ts";
import { bytesOf, coresOf } from "../amounts.ts";
import { withEntrypoint } from "../entrypoint.ts";
import {
  type AdoptedReplica,
  type Content,
  type OutputLog,
  type ReplicaAddress,
  type RunningReplica,
  type Runtime,
  StartFailure,
  type StartRequest,
} from "../runtime.ts";
import { Cgroups, type Limits, type ReplicaGroup } from "./cgroup.ts";
import { endingWithParent } from "./death-signal.ts";
import { FreePorts } from "./free-port.ts";
import { type ContentPlaces, type Isolation, sameUser } from "./isolation/isolation.ts";
import { MARKER, ReplicaLedger, type ReplicaRecord } from "./ledger.ts";
import { MEMORY_LOOK_MS, MemoryWatch } from "./memory-watch.ts";
import { permissionFlags } from "./permission-flags.ts";
import { makePrivateDirectory } from "./private-directory.ts";
import { processTree } from "./proc.ts";
import { ProcessReplica } from "./process-replica.ts";
import { replicaEnv } from "./replica-env.ts";
import { makeHome, SOCKET, sealHome } from "./replica-home.ts";
import { giveSecrets, type SecretReader, secretFilesRoot } from "./secret-values.ts";
import { STORAGE_LOOK_MS, StorageWatch } from "./storage-watch.ts";

/**
 * Unpacks an image. `dir` is the directory that an app runs in, `packagesDir` where its `node_modules` leads, if outside,
 * `entrypoint` what an app's `args` are handed to.
 */
export type ImageUnpacker = (
  digest: string,
  places: ContentPlaces,
  signal: AbortSignal,
) => Promise<{ dir: string; packagesDir?: string | undefined; entrypoint?: string[] | undefined }>;

/** What the runtime needs. Directories are absolute and are made when they are missing (0700). */
export interface ProcessRuntimeOptions {
  stateDir: string;
  /** For sockets: short, because a unix socket's path ends at 107 bytes. */
  runtimeDir: string;
  /** Path of the Node binary that runs apps. */
  node: string;
  /** What that runs, in OCI's words: `linux/amd64`. */
  platform: string;
  /** How apps are kept apart. Default: {@link sameUser}. */
  isolation?: Isolation;
  prepare: ImageUnpacker;
  readSecret: SecretReader;
  /** Starts the processes. */
  host: ReplicaHost;
  /** Where apps reach the platform (`APPCTL_ENDPOINT`), unless a revision's own environment says so. */
  platformUrl?: string;
  /** The platform's environment. Only the language and the time zone get from it into apps. */
  env?: NodeJS.ProcessEnv;
  /** Control groups. Default: what this machine has. */
  cgroups?: Cgroups;
  log(message: string): void;
}

const LONGEST_SOCKET_PATH = 107;
const UNSUPPORTED = ["sharedMemory", "accelerator"] as const;
/** What leads out of Node's permission model, in words. */
const WIDENED: Record<Permission, string> = {
  addons: "load native code",
  "child-process": "start programs",
  worker: "start worker threads",
};
const NODE_MAJOR = Number.parseInt(process.versions.node, 10);

/** Makes the runtime `process`. Throws an {@link AppctlError} when `runtimeDir` is too long for sockets. */
export function createProcessRuntime(options: ProcessRuntimeOptions): Runtime {
  return new ProcessRuntime(options);
}

class ProcessRuntime implements Runtime {
  readonly name = "process";
  readonly #options: ProcessRuntimeOptions;
  readonly #host: ReplicaHost;
  /** Replicas of an earlier platform that nothing has adopted yet. */
  readonly #orphans = new Map<string, HostedReplica>();
  readonly #ledger: ReplicaLedger;
  readonly #cgroups: Cgroups;
  readonly #ports = new FreePorts();
  readonly #secretFiles: string;
  readonly #isolation: Isolation;
  readonly #memory = new MemoryWatch();
  readonly #storage: StorageWatch;

  constructor(options: ProcessRuntimeOptions) {
    const socket = join(options.runtimeDir, "01234567", "s");
    if (Buffer.byteLength(socket) > LONGEST_SOCKET_PATH) {
      throw new AppctlError({
        code: "RUNTIME_DIRECTORY_TOO_LONG",
        exit: ExitCode.usage,
        message: `the directory ${options.runtimeDir} is too long for unix sockets, whose path ends at 107 bytes`,
        hint: "set TMPDIR to a shorter directory",
      });
    }
    this.#options = options;
    this.#host = options.host;
    this.#isolation = options.isolation ?? sameUser(options.stateDir, options.node, "nothing else was asked for");
    makePrivateDirectory(options.runtimeDir, this.#isolation.ownUsers ? 0o711 : 0o700);
    this.#storage = new StorageWatch(options.runtimeDir);
    // A name that no other platform of this machine has.
    const name = `appctl-${createHash("sha256").update(options.stateDir).digest("hex").slice(0, 10)}`;
    this.#ledger = new ReplicaLedger(join(options.stateDir, "replicas"));
    this.#cgroups = options.cgroups ?? Cgroups.detect(name);
    this.#secretFiles = secretFilesRoot(name, options.runtimeDir, this.#isolation.ownUsers ? 0o711 : 0o700);
  }

  facts() {
    return {
      limits: {
        cpu: this.#cgroups.holds("cpu") ?? "none: no control group can be written",
        mem: this.#cgroups.holds("memory") ?? `soft: memory in use is read every ${MEMORY_LOOK_MS} ms`,
        tasks: this.#cgroups.holds("pids") ?? "none: no control group can be written",
        storage: `soft: files are added up, at most every ${STORAGE_LOOK_MS} ms`,
      },
      isolation: this.#isolation.words,
      needsBase: false,
      platform: this.#options.platform,
    };
  }

  check(spec: AppSpec): Fault[] {
    return UNSUPPORTED.filter((field) => spec[field] !== undefined).map((field) => ({
      path: field,
      message: `"${field}" is not honoured by the runtime "process": remove it`,
    }));
  }

  warnings(spec: AppSpec): string[] {
    const warnings: string[] = [];
    const widened = (spec.permissions ?? []).map((permission) => WIDENED[permission]);
    if (widened.length > 0 && !this.#isolation.ownUsers) {
      warnings.push(
        `${spec.name} may ${widened.join(" and ")}, and apps run as the platform's own user here: it can read what the platform can`,
      );
    }
    if (spec.limits.cpu !== undefined && !this.#cgroups.holds("cpu")) {
      warnings.push(`limits.cpu (${spec.limits.cpu}) is not enforced: this platform can write no control group`);
    }
    if (spec.limits.mem !== undefined && !this.#cgroups.holds("memory")) {
      warnings.push(
        `limits.mem (${spec.limits.mem}) is soft: the platform looks every ${MEMORY_LOOK_MS} ms and ends an app that uses more`,
      );
    }
    return warnings;
  }

  async recover(): Promise<void> {
    for (const hosted of this.#host.list()) this.#orphans.set(hosted.id, hosted);
    const ended = await this.#ledger.recover(this.#options.log, (id) => this.#orphans.has(id));
    if (ended > 0) this.#options.log(`ended ${ended} replica(s) that an earlier platform left running`);
  }

  adopt(ref: AppRef, revision: RunnableRevision, log: OutputLog): AdoptedReplica | undefined {
    for (const hosted of this.#orphans.values()) {
      const note = noteOf(hosted);
      if (note?.revision !== revision.name || !isDeepStrictEqual(note.ref, plainRef(ref))) continue;
      this.#orphans.delete(hosted.id);
      if (note.port !== undefined) this.#ports.claim(note.port);
      const running = this.#replicaOf(hosted, ref, revision, note);
      hosted.logMoved = (end) => log.moved(end);
      const { replica, content, startedAt, restarts } = note;
      return { replica, running, content, startedAt, restarts };
    }
    return undefined;
  }

  async endOrphans(): Promise<void> {
    const orphans = [...this.#orphans.values()];
    this.#orphans.clear();
    await Promise.all(
      orphans.map(async (hosted) => {
        hosted.signal("SIGKILL", "group");
        await hosted.exited;
        await hosted.finish();
        const record = this.#ledger.read(hosted.id);
        if (record) await this.#settle(record);
      }),
    );
    if (orphans.length > 0) this.#options.log(`ended ${orphans.length} replica(s) that no app wants any more`);
  }

  async prepare(ref: AppRef, revision: RunnableRevision, signal: AbortSignal): Promise<Content> {
    const places = this.#isolation.placesOf(ref);
    try {
      const { dir, packagesDir, entrypoint } = await this.#options.prepare(revision.digest, places, signal);
      return { dir, packagesDir, entrypoint, roots: [...new Set([realpathSync(dir), dir])] };
    } catch (error) {
      throw new StartFailure(unreadable(revision.digest, error), { cause: error });
    }
  }

  async start(request: StartRequest): Promise<RunningReplica> {
    const { ref, revision, content } = request;
    const { spec } = revision;
    const user = this.#isolation.userOf(ref);
    const id = randomBytes(4).toString("hex");
    const home = join(this.#options.runtimeDir, id);
    const secretDir = join(this.#secretFiles, id);
    const isFramework = spec.kind === "framework";
    const ownPort = isFramework ? undefined : await this.#ports.take();
    const limits = limitsOf(spec);
    const record = { id, home, dirs: [secretDir], user, cgroups: this.#cgroups.dirsOf(id) };
    const ended = async () => {
      if (ownPort !== undefined) this.#ports.release(ownPort);
      await this.#settle(record);
    };
    this.#ledger.write(record);
    try {
      makeHome(home, user, isFramework);
      const address: ReplicaAddress =
        ownPort === undefined ? { socketPath: join(home, SOCKET) } : { host: "127.0.0.1", port: ownPort };
      const token = isFramework ? randomBytes(32).toString("hex") : undefined;
      const env = replicaEnv({
        node: this.#isolation.node,
        contentDir: content.dir,
        home: join(home, "home"),
        tmp: join(home, "tmp"),
        host: this.#options.env ?? {},
        revision: revision.env,
        endpoint: revision.env["APPCTL_ENDPOINT"] ?? this.#options.platformUrl,
        port: ownPort ?? spec.port,
        secrets: await giveSecrets(revision.secrets, this.#options.readSecret, this.#secretFiles, id, user),
        internal: {
          [MARKER]: id,
          ...("socketPath" in address ? { APPCTL_SOCKET: address.socketPath, APPCTL_CHANNEL: String(CHANNEL) } : {}),
          ...(token === undefined ? {} : { APPCTL_REPLICA_TOKEN: token }),
        },
      });
      if (isFramework) refuseWiderOptions(env["NODE_OPTIONS"]);
      if (!existsSync(content.dir)) {
        throw new StartFailure(unreadable(revision.digest, "its directory is gone"));
      }
      this.#cgroups.create(id, limits);
      const note: ReplicaNote = {
        ref: plainRef(ref),
        revision: revision.name,
        replica: request.replica,
        startedAt: Date.now(),
        restarts: request.restarts,
        address,
        ...(ownPort === undefined ? {} : { port: ownPort }),
        ...(token === undefined ? {} : { token }),
        home,
        secretDir,
        content,
      };
      const hosted = await this.#host.start({
        id,
        ...this.#programOf(spec, content, { home, secretDir, path: env["PATH"] ?? "" }),
        cwd: content.dir,
        env,
        user,
        channel: isFramework,
        groups: record.cgroups,
        log: { dir: request.log.dir, limits: request.log.limits, replica: request.replica, revision: revision.name },
        note: JSON.stringify(note),
      });
      hosted.logMoved = (end) => request.log.moved(end);
      const replica = this.#replicaOf(hosted, ref, revision, note);
      try {
        this.#ledger.write({ ...record, pid: hosted.pid });
      } catch (error) {
        await replica.kill();
        throw error;
      }
      return replica;
    } catch (error) {
      await ended();
      if (error instanceof StartFailure) throw error;
      const { code, syscall } = error as NodeJS.ErrnoException;
      const failure =
        code !== undefined && syscall?.startsWith("spawn")
          ? explainFailure({
              // What could not be started may be the image's entry point.
              spec: withEntrypoint(spec, content),
              wasReady: false,
              spawnError: code,
              output: [],
              roots: content.roots,
            })
          : engineError(error);
      throw new StartFailure(failure, { cause: error });
    }
  }

  /** What the platform does for the process of a replica. */
  #replicaOf(hosted: HostedReplica, ref: AppRef, { spec }: RunnableRevision, note: ReplicaNote): ProcessReplica {
    const { id, pid } = hosted;
    const { home, secretDir, port } = note;
    const user = this.#isolation.userOf(ref);
    const limits = limitsOf(spec);
    const isFramework = spec.kind === "framework";
    const isWatched = limits.memoryBytes !== undefined && !this.#cgroups.holds("memory");
    const group = this.#cgroups.open(id);
    // A shell is fast: what it has started by now goes along.
    if (spec.kind === "command") addTree(group, pid);
    return new ProcessReplica(
      {
        address: note.address,
        token: note.token,
        names: { [join(home, "home")]: "$HOME", [join(home, "tmp")]: "$TMPDIR", [secretDir]: "secrets" },
        channel: isFramework,
        listens: () => user && sealHome(home, user),
        signalsGroup: spec.kind === "command",
        watchMemory: isWatched ? (root, over) => this.#memory.watch(root, limits.memoryBytes ?? 0, over) : undefined,
        group,
        watchStorage: (root, over) =>
          this.#storage.add({
            pid: root,
            dirs: [home, secretDir],
            limitBytes: bytesOf(spec.limits.ephemeralStorage ?? DEFAULT_STORAGE),
            over,
          }),
        ended: async () => {
          if (port !== undefined) this.#ports.release(port);
          await this.#settle({ id, home, dirs: [secretDir], user, cgroups: this.#cgroups.dirsOf(id) });
        },
      },
      hosted,
    );
  }

  /** Removes what a replica that is gone had. Never rejects. */
  async #settle(record: Omit<ReplicaRecord, "boot" | "startTime">): Promise<void> {
    await this.#ledger.settle(record).catch((error) => {
      // Its file stays, so the next start of the platform tries again.
      this.#options.log(`what replica ${record.id} had could not be removed: ${messageOf(error)}`);
    });
  }

  forget(ref: AppRef): Promise<void> {
    return this.#isolation.forget(ref);
  }

  async close(): Promise<void> {
    await rm(this.#secretFiles, { recursive: true, force: true });
    await rmdir(this.#options.runtimeDir).catch(() => {
      // what is left of a replica that could not be removed is found at the next start
    });
    this.#cgroups.close();
  }

  #programOf(spec: AppSpec, content: Content, own: { home: string; secretDir: string; path: string }) {
    const { node } = this.#isolation;
    if (spec.kind === "framework") {
      const flags = permissionFlags({
        read: [content.dir, ...(content.packagesDir ? [content.packagesDir] : []), own.secretDir],
        write: [join(own.home, "home"), join(own.home, "tmp")],
        permissions: spec.permissions ?? [],
        nodeMajor: NODE_MAJOR,
      });
      return { program: node, args: [...flags, "--enable-source-maps", join(content.dir, "serve.mjs")] };
    }
    const place = { cwd: content.dir, path: own.path };
    if (spec.kind === "command") {
      return endingWithParent({ program: "/bin/sh", args: ["-c", spec.command ?? ""] }, place);
    }
    const [program = "", ...args] = withEntrypoint(spec, content).args ?? [];
    const isNode = program === "node";
    return endingWithParent(
      isNode ? { program: node, args: ["--enable-source-maps", ...args] } : { program, args },
      place,
    );
  }
}

/** What the next platform needs to go on with a replica. The supervisor keeps it in memory, since a token is in it. */
interface ReplicaNote {
  ref: AppRef;
  revision: string;
  replica: string;
  startedAt: number;
  restarts: number;
  address: ReplicaAddress;
  /** Its own port. */
  port?: number;
  token?: string;
  home: string;
  secretDir: string;
  content: Content;
}

function noteOf({ note }: HostedReplica): ReplicaNote | undefined {
  try {
    return JSON.parse(note);
  } catch {
    return undefined; // of another version
  }
}

const plainRef = ({ project, domain, name }: AppRef): AppRef => ({ project, domain, name });

function addTree(group: ReplicaGroup, leader: number): void {
  try {
    for (const pid of processTree(leader)) group.add(pid);
  } catch {
    // it ended before it could be put there
  }
}

function unreadable(digest: string, error: unknown): FailureCause {
  return causeOf("imageUnreadable", { digest, error: messageOf(error) });
}

function limitsOf(spec: AppSpec): Limits {
  const { cpu, mem } = spec.limits;
  return {
    ...(mem === undefined ? {} : { memoryBytes: bytesOf(mem) }),
    ...(cpu === undefined ? {} : { cores: coresOf(cpu) }),
    tasks: LIMITS.replicaTasks.value,
  };
}

const WIDER_OPTIONS = /--(?:no-)?(?:experimental-)?(?:permission|allow-)/;

/** Node adds up what its arguments and `NODE_OPTIONS` allow: what an app may do is said by its permissions alone. */
function refuseWiderOptions(options: string | undefined): void {
  if (options === undefined || !WIDER_OPTIONS.test(options)) return;
  throw new StartFailure(causeOf("widerOptions", { option: WIDER_OPTIONS.exec(options)?.[0] ?? "" }));
}
