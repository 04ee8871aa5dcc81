/** Makes a base image with a container engine, and takes it over into an OCI layout. */
import { createHash, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import {
  EngineApi as Engine,
  type EngineAnswer,
  type EngineApi,
  EngineApiError,
  isConnectionLost,
} from "../../container-engine/docker-api.ts";
import { engineHint, engineSockets, type TriedSocket } from "../../container-engine/socket.ts";
import { AppctlError, ExitCode, messageOf, usageError } from "../../core/errors.ts";
import type { BuildProgress } from "../../core/events.ts";
import { tar } from "../../oci/archive/tar.ts";
import type { OciLayout } from "../../oci/layout.ts";
import { canonicalJson } from "../../oci/model.ts";
import type { FetchedImage } from "../../oci/registry/fetch-image.ts";
import { type NpmTarget, ociTarget } from "../../packages/npm-target.ts";
import { isWhole, loadEnvironment } from "../environment-image.ts";
import { dockerfileOf, type Programs } from "./dockerfile.ts";
import { buildsOnHost, proxyArguments, signIn } from "./outside-access.ts";
import { readSavedImage } from "./saved-image.ts";

/** Lines of a failed build that are shown. */
const LAST_LINES = 20;
/** For an engine that has no room for what a build makes. */
const DISK_FULL = "the engine's disk is full: make room, for example with docker system prune";

/** No build takes so long, in milliseconds: an image that bears its name since then is one that was left. */
const LEFT_MS = 24 * 3600_000;

/** How long the engine may take over what nobody needs, in milliseconds: one that hangs must not keep a command from its end. */
const CLEAR_MS = 10_000;

/** What to build, and where its progress goes. */
export interface DockerBuild {
  base: string;
  programs: Programs;
  platform: NpmTarget;
  layout: OciLayout;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Build even when the layout has it, and without the engine's cache. */
  force?: boolean | undefined;
  onProgress?: ((step: BuildProgress) => void) | undefined;
}

/**
 * The base with what ran on top of it. The layout keeps it under a name made of everything that decides it, so that the same
 * is not built twice. Throws NO_ENGINE, IMAGE_BUILD_FAILED.
 */
export async function builtBase(build: DockerBuild): Promise<FetchedImage> {
  const { base, programs, layout } = build;
  const existingBase = await knownBase(build);
  if (existingBase) return existingBase;
  const reference = referenceOf(build);
  const api = await connect(build.env, build.signal);
  try {
    // A name of its own: another build of the same may take its image out, and remove it, at the same time. With a host in
    // front, since Podman takes a bare name for one of a registry's.
    const name = `localhost/appctl-${reference}-${Date.now().toString(36)}-${randomBytes(4).toString("hex")}`;
    // Whether its registry has TLS is the engine's own to know.
    await run(api, name, dockerfileOf(base.replace(/^https?:\/\//, ""), programs), build);
    try {
      build.onProgress?.({ step: "layer", message: "taking the built image out of the engine" });
      const image = await takeOut(api, name, build);
      await layout.tag(reference, image.descriptor);
      return image;
    } finally {
      await remove(api, name, build);
      if (!build.signal.aborted) await removeLeft(api, build);
    }
  } finally {
    api.close();
  }
}

/** Removes what builds have left that were killed, or whose engine was, before they could. */
async function removeLeft(api: EngineApi, build: DockerBuild): Promise<void> {
  const before = Date.now() - LEFT_MS;
  const images = await api.soon<{ RepoTags?: string[] | null }[]>("/images/json").catch(() => []); // the next build tries
  for (const name of images.flatMap(({ RepoTags }) => RepoTags ?? [])) {
    const began = /^localhost\/appctl-built-base:[0-9a-f]{32}-([0-9a-z]{8,9})-[0-9a-f]{8}$/.exec(name)?.[1];
    if (began !== undefined && Number.parseInt(began, 36) < before) await remove(api, name, build);
  }
}

async function takeOut(api: EngineApi, name: string, { layout, signal }: DockerBuild): Promise<FetchedImage> {
  try {
    return await readSavedImage(await api.download(`/images/${name}/get`, { signal }), layout);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof EngineApiError || isConnectionLost(error))) throw error;
    throw new AppctlError({
      code: "IMAGE_BUILD_FAILED",
      exit: ExitCode.build,
      message: `the image was built, and could not be taken out of the engine: ${messageOf(error)}`,
      hint: "do the same again; what has run already is in the engine's cache",
      cause: error,
    });
  }
}

/** The base, when the layout has it from an earlier build and nobody wants another one. */
export async function knownBase(build: DockerBuild): Promise<FetchedImage | undefined> {
  const existingBase = build.force ? undefined : await loadEnvironment(build.layout, referenceOf(build));
  return existingBase && (await isWhole(build.layout, existingBase.manifest)) ? existingBase : undefined;
}

function referenceOf({ base, programs, platform }: DockerBuild): string {
  const { aptPackages, commands } = programs;
  const identity = canonicalJson({ v: 1, base, aptPackages, commands, platform });
  return `built-base:${createHash("sha256").update(identity).digest("hex").slice(0, 32)}`;
}

/** Removes the image, which the layout has now, and keeps those of its steps: they are the engine's cache. */
async function remove(api: EngineApi, name: string, { onProgress }: DockerBuild): Promise<void> {
  try {
    // Podman removes the images of the steps in any case, so its image only loses its name.
    if (api.isPodman) await untag(api, name);
    else
      await api.json("DELETE", `/images/${name}`, { query: { noprune: "1" }, signal: AbortSignal.timeout(CLEAR_MS) });
  } catch (error) {
    // The build has what it needs.
    onProgress?.({ step: "layer", message: `the engine keeps the image ${name}: ${messageOf(error)}` });
  }
}

/** Without saying which, Podman takes every name of the image: another build of the same may still need its own. */
async function untag(api: EngineApi, name: string): Promise<void> {
  const [, repo = "", tag = ""] = /^(.*):([^:]+)$/.exec(name) ?? [];
  await api.json("POST", `/libpod/images/${name}/untag`, {
    query: { repo, tag },
    signal: AbortSignal.timeout(CLEAR_MS),
  });
}

async function connect(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<EngineApi> {
  const tried: TriedSocket[] = [];
  for (const socketPath of engineSockets(env)) {
    try {
      return await Engine.connect(socketPath, { signal });
    } catch (error) {
      signal.throwIfAborted();
      tried.push({ socketPath, error });
    }
  }
  throw new AppctlError({
    code: "NO_ENGINE",
    exit: ExitCode.unavailable,
    message: 'builder "docker" needs a container engine, and none answers',
    hint: engineHint(tried),
    details: tried.map(({ socketPath, error }) => `${socketPath}: ${messageOf(error)}`),
  });
}

async function run(api: EngineApi, name: string, dockerfile: string, build: DockerBuild): Promise<void> {
  const { base, platform, env, signal, force, onProgress } = build;
  const { os, architecture } = ociTarget(platform);
  const context = tar([{ type: "file", path: "Dockerfile", content: Buffer.from(dockerfile) }]);
  const onHost = await buildsOnHost(api);
  const query = {
    t: name,
    rm: 1,
    forcerm: 1,
    platform: `${os}/${architecture}`,
    buildargs: proxyArguments(env, onHost),
    ...(onHost ? { networkmode: "host" } : {}),
    ...(force ? { nocache: 1 } : {}),
    ...(api.isPodman ? { layers: 1 } : {}),
  };
  const output: string[] = [];
  const failed = (message: string, code?: number) =>
    usageError(
      `the image could not be built: ${code === undefined ? message : `a command ended with exit code ${code}`}`,
      {
        code: "IMAGE_BUILD_FAILED",
        exit: ExitCode.build,
        ...(/no space left/i.test(message) ? { hint: DISK_FULL } : {}),
        details: [
          ...output.slice(-LAST_LINES),
          ...(code === undefined ? [] : [message]),
          "",
          "Dockerfile:",
          ...dockerfile.trimEnd().split("\n"),
        ],
      },
    );
  async function* unlessBroken(lines: AsyncIterable<string>) {
    try {
      yield* lines;
    } catch (error) {
      signal.throwIfAborted();
      throw failed(`the engine's answer broke off: ${messageOf(error)}`);
    }
  }
  const headers = await signIn(base, env, signal);
  let answer: EngineAnswer;
  try {
    answer = await api.send("/build", context, { query, headers, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw failed(messageOf(error));
  }
  const lines = createInterface({ input: answer });
  // Podman's answer goes on after it has reported a failure: it breaks off when nobody reads any more.
  lines.on("error", () => {});
  for await (const line of unlessBroken(lines)) {
    if (line.trim() === "") continue;
    const { stream, error, errorDetail } = JSON.parse(line) as {
      stream?: string;
      error?: string;
      errorDetail?: { code?: number; message?: string };
    };
    if (error !== undefined) throw failed(errorDetail?.message ?? error, errorDetail?.code);
    for (const text of (stream ?? "").split("\n").map((each) => each.trimEnd())) {
      if (text === "") continue;
      output.push(text);
      if (text.startsWith("Step ") || text.startsWith("STEP ")) onProgress?.({ step: "layer", message: text });
    }
  }
  signal.throwIfAborted();
}
