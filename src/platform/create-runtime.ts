/** Picks the runtime that the local engine runs replicas with. */
import type { RuntimeName } from "../core/config.ts";
import type { Paths } from "../core/paths.ts";
import type { NoteKeeper, ReplicaHost } from "../core/replica-host.ts";
import { createIsolation } from "../engine/local/process/isolation/create-isolation.ts";
import { createProcessRuntime } from "../engine/local/process/process-runtime.ts";
import type { SecretReader } from "../engine/local/process/secret-values.ts";
import type { Runtime } from "../engine/local/runtime.ts";
import { loadableImage, outlinedImage } from "../image/docker-archive.ts";
import { unpackApp } from "../image/unpack.ts";
import type { OciLayout } from "../oci/layout.ts";
import { hostTarget, targetName } from "../packages/npm-target.ts";
import { mountedDir } from "./leftovers.ts";

/** What a runtime is made from. */
export interface RuntimeContext {
  paths: Paths;
  stateDir: string;
  images: OciLayout;
  readSecret: SecretReader;
  env: NodeJS.ProcessEnv;
  /** Starts the processes of replicas. */
  host: ReplicaHost;
  /** Keeps what the next platform needs to go on with containers. */
  notes?: NoteKeeper | undefined;
  log(message: string): void;
}

/** Makes it. Throws an `AppctlError` when the machine lacks what it needs. */
export async function createRuntime(name: RuntimeName, context: RuntimeContext): Promise<Runtime> {
  const { paths, stateDir, images, readSecret, env, host, notes, log } = context;
  if (name === "docker") {
    const { createDockerRuntime } = await import("../engine/local/docker/docker-runtime.ts");
    return createDockerRuntime({
      stateDir,
      runtimeDir: paths.runtime,
      image: (digest) => loadableImage(images, digest),
      outline: (digest) => outlinedImage(images, digest, mountedDir(stateDir)),
      readSecret,
      notes,
      env,
      log,
    });
  }
  return createProcessRuntime({
    host,
    stateDir,
    runtimeDir: paths.runtime,
    isolation: createIsolation({ stateDir, sharedDir: paths.shared, node: process.execPath, log }),
    node: process.execPath,
    platform: targetName(hostTarget()),
    prepare: (digest, { contentDir, layersDir }) => unpackApp(images, digest, contentDir, layersDir),
    readSecret,
    log,
  });
}
