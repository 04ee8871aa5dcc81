import { AppctlError, type ErrorDetails, ExitCode, isAppctlError } from "../core/errors.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, EPOCH, type ImageConfig, MediaType } from "../oci/model.ts";
import { type BlobSource, fromRepository } from "../oci/registry/blob-source.ts";
import { type FetchedImage, fetchImage } from "../oci/registry/fetch-image.ts";
import { type ImageName, imageNameText, parseImageName } from "../oci/registry/image-name.ts";
import { Repository } from "../oci/registry/repository.ts";
import { type NpmTarget, ociTarget, targetName } from "../packages/npm-target.ts";
import type { DockerBuild } from "./builder/docker-builder.ts";
import { type EnvironmentImage, envList, writeImage } from "./environment-image.ts";
import type { ImageSource } from "./image-store.ts";
import { LAYER_ROLE } from "./layer.ts";

/** How programs run on a base, on this machine: all of its layers are in the layout then. */
export type BaseBuild = Omit<DockerBuild, "base" | "env" | "signal" | "layout" | "platform">;

/** The client of a container engine is loaded when it is needed. */
const docker = () => import("./builder/docker-builder.ts");

/** The image that others stand on, in its own registry. Its layers are never unpacked. */
export class BaseImage implements ImageSource {
  readonly name: ImageName;
  readonly #repository: Repository;

  readonly #build: Omit<DockerBuild, "layout" | "platform"> | undefined;
  /** What was made, by platform: it is made once, also when that is forced. */
  readonly #made = new Map<string, Promise<FetchedImage>>();

  /** `text` as `parseImageName` takes it. With `build`, the base is the image after its programs have run. */
  constructor(text: string, env: NodeJS.ProcessEnv, signal: AbortSignal, build?: BaseBuild) {
    this.#build = build && { ...build, base: text, env, signal };
    this.name = parseImageName(text);
    this.#repository = new Repository({ name: this.name, access: "pull", env, signal });
  }

  /**
   * Manifest and configuration of the image for `platform`, by the digest when one is written. What a tag names is asked for
   * without its content first: what is known already is not fetched again, which registries count and limit.
   */
  async fetch(layout: OciLayout, platform: NpmTarget): Promise<FetchedImage> {
    if (this.#build) return this.#make({ ...this.#build, layout, platform });
    const image = await this.#fetch(layout, platform).catch((error: unknown) => {
      throw isAppctlError(error) ? this.#advised(error) : error;
    });
    const { os, architecture } = ociTarget(platform);
    if (image.config.os === os && image.config.architecture === architecture) return image;
    throw new AppctlError({
      code: "NO_SUCH_PLATFORM",
      exit: ExitCode.usage,
      message: `the base image ${imageNameText(this.name)} is for ${image.config.os}/${image.config.architecture}, not for ${os}/${architecture}`,
      hint: "name another base image, or one that has several platforms",
    });
  }

  /** Whether something has to be run yet to have it. What has nothing to run is fetched when it is needed. */
  async isToBeMade(layout: OciLayout, platform: NpmTarget): Promise<boolean> {
    return this.#build !== undefined && !(await (await docker()).knownBase({ ...this.#build, layout, platform }));
  }

  /** Runs what has to be run to have it. */
  async make(layout: OciLayout, platform: NpmTarget): Promise<void> {
    if (this.#build) await this.#make({ ...this.#build, layout, platform });
  }

  #make(build: DockerBuild): Promise<FetchedImage> {
    const name = targetName(build.platform);
    const made = this.#made.get(name) ?? docker().then(({ builtBase }) => builtBase(build));
    this.#made.set(name, made);
    return made;
  }

  async #fetch(layout: OciLayout, platform: NpmTarget): Promise<FetchedImage> {
    const { tag = "latest" } = this.name;
    const digest = this.name.digest ?? (await this.#repository.resolve(tag))?.digest;
    return fetchImage(this.#repository, digest ?? tag, layout, ociTarget(platform));
  }

  /** Not everybody knows that there is a base, or can reach the registry that has it. */
  #advised(error: AppctlError): AppctlError {
    const advice = `${imageNameText(this.name)} is the base of the image; ImageSpec.baseImage or APPCTL_BASE_IMAGE names another one, such as a mirror's`;
    const { message, cause } = error;
    const hint = error.hint === undefined ? advice : `${error.hint}; ${advice}`;
    return new AppctlError({ ...error, message, cause, hint, details: [] } as ErrorDetails);
  }

  /** A layer of the base, which nobody has given a role. Those of a base that was made are in the layout. */
  open(_: string, blob: Descriptor): BlobSource | undefined {
    const isLayer = blob.mediaType !== MediaType.config && blob.annotations?.[LAYER_ROLE] === undefined;
    return isLayer && !this.#build ? fromRepository(this.#repository, blob) : undefined;
  }

  close(): Promise<void> {
    return this.#repository.close();
  }
}

/**
 * An environment image put on top of a base image: its layers above the base's, its configuration merged with the base's as
 * `FROM` does it. The same two give the same digest.
 */
export async function onBase(
  environment: EnvironmentImage,
  base: Pick<FetchedImage, "manifest" | "config">,
  layout: OciLayout,
): Promise<FetchedImage> {
  const config = mergedConfig(base.config, environment.config);
  const layers = [...base.manifest.layers.map(ociLayer), ...environment.manifest.layers];
  return writeImage(layout, config, layers);
}

/** The configuration of an image on a base. Variables of both have the upper one's value. */
export function mergedConfig(base: ImageConfig, upper: ImageConfig): ImageConfig {
  // How the base is started is none of the app's: each says that itself. Its volumes are for what the base's own program keeps;
  // an engine would make a folder of them that the app can write, on a disk that nobody limits.
  const { Entrypoint: entrypoint, Cmd: _, Volumes: __, ...kept } = base.config;
  const labels = { ...base.config.Labels, ...upper.config.Labels };
  return {
    ...base,
    created: EPOCH,
    config: {
      ...kept,
      ...upper.config,
      Env: envList({ ...withNode(variables(base.config.Env), entrypoint), ...variables(upper.config.Env) }),
      ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
    },
    rootfs: { type: "layers", diff_ids: [...base.rootfs.diff_ids, ...upper.rootfs.diff_ids] },
    history: [...base.history, ...upper.history],
  };
}

/** A base whose entry point is a Node by its path may have it nowhere on its PATH; an app is started with `node`. */
function withNode(env: Record<string, string>, entrypoint: string[] | undefined): Record<string, string> {
  const folder = /^(\/.*)\/node$/.exec(entrypoint?.[0] ?? "")?.[1];
  const path = env["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (folder === undefined || path.split(":").includes(folder)) return env;
  return { ...env, PATH: `${folder}:${path}` };
}

function variables(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** A base layer as a descriptor of OCI; Docker's own name for the same archive is another. */
function ociLayer({ mediaType, digest, size }: Descriptor): Descriptor {
  const same = mediaType === "application/vnd.docker.image.rootfs.diff.tar.gzip";
  return { mediaType: same ? MediaType.layer : mediaType, digest, size };
}
