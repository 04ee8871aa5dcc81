/** The engine `local` with the runtime `docker`, as the platform puts them together. */
import { join } from "node:path";
import { Redacted } from "../../../src/core/redacted.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { createDockerRuntime, type DockerRuntimeOptions } from "../../../src/engine/local/docker/docker-runtime.ts";
import { createLocalEngine, type LocalEngineOptions } from "../../../src/engine/local/local-engine.ts";
import { loadableImage, outlinedImage } from "../../../src/image/docker-archive.ts";
import { OciLayout } from "../../../src/oci/layout.ts";

/** What both need. */
export type DockerEngineOptions = LocalEngineOptions & DockerRuntimeOptions;

/** Options on directories of the test's own, with the images of the layout at `layoutDir`. */
export function dockerOptions(base: string, layoutDir: string, env: NodeJS.ProcessEnv): DockerEngineOptions {
  const layout = new OciLayout(layoutDir);
  return {
    stateDir: join(base, "state"),
    runtimeDir: join(base, "run"),
    image: (digest) => loadableImage(layout, digest),
    outline: (digest) => outlinedImage(layout, digest, join(base, "state", "content", "mounted")),
    readSecret: async () => new Redacted(Buffer.from("secret")),
    platformUrl: "http://127.0.0.1:7654",
    env,
    stopMs: 500,
    log: (message) => process.stderr.write(`${message}\n`),
  };
}

/** Makes it. */
export async function createDockerEngine(options: DockerEngineOptions): Promise<Engine> {
  return createLocalEngine(options, await createDockerRuntime(options));
}
