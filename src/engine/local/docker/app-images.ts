/**
 * How an app's image gets into a container. The engine takes long to load an image, and each deploy has a new one in which
 * mostly the app layer alone is new. So it gets what is below that layer, once, and the few files of the layer are mounted
 * into the container, each where the image has it. An engine that cannot do that loads the image whole.
 */
import { statSync } from "node:fs";
import type { AppRef } from "../../../contract/types.ts";
import { type EngineApi, EngineApiError } from "../../../core/engine-api.ts";
import { isAppctlError } from "../../../core/errors.ts";
import { imageUnreadable } from "../../causes.ts";
import { StartFailure } from "../runtime.ts";
import { noBaseImage } from "./docker-failures.ts";
import type { ImageLoader, ImageSource, ImageToLoad } from "./image-loader.ts";

/** A file of this machine, and where a container has it, read only. Both are absolute. */
export interface MountedFile {
  source: string;
  target: string;
}

/** Unpacks an image's app layer. Undefined when files do not say all of it. See `image/unpack.ts`. */
export type AppFilesSource = (digest: string) => Promise<MountedFile[] | undefined>;

/** What a container is made from. */
export interface ReadyImage {
  /** What the engine knows it by. */
  reference: string;
  /** Undefined for an image that was loaded whole. */
  files: MountedFile[] | undefined;
  /** What an app's `args` are handed to. */
  entrypoint: string[];
}

/** Each mount takes the engine a moment: with more files than this, loading the layer is no longer slower. */
const MOST_FILES = 64;

/** In the words of Docker, of runc and of Podman. */
const NO_MOUNT = /bind source|invalid mount|mounting|mountpoint|mounts denied|statfs/i;

/** What an {@link AppImages} works with. */
export interface AppImagesOptions {
  loader: ImageLoader;
  image: ImageSource;
  /** Undefined: images are loaded whole. */
  files: AppFilesSource | undefined;
  log(message: string): void;
}

/** Makes images ready for containers. */
export class AppImages {
  readonly #loader: ImageLoader;
  readonly #image: ImageSource;
  readonly #files: AppFilesSource | undefined;
  readonly #log: (message: string) => void;
  /** What is below the app layer, by digest of the image; undefined for an image that is loaded whole. */
  readonly #below = new Map<string, string | undefined>();
  /** Turned off by the first engine that sees no files of this machine. */
  #mounts = true;
  /** Podman had such a file. */
  #proven = false;

  constructor({ loader, image, files, log }: AppImagesOptions) {
    this.#loader = loader;
    this.#image = image;
    this.#files = files;
    this.#log = log;
  }

  /** Makes the image with that digest ready. Throws a {@link StartFailure} for an image that cannot run, and what the engine says. */
  async prepare(ref: AppRef, digest: string, signal: AbortSignal): Promise<ReadyImage> {
    if (this.#files === undefined || !this.#mounts) return this.prepareWhole(ref, digest, signal);
    const { below } = await this.#read(digest);
    const files = below && (await this.#files(digest).catch((error: unknown) => unlessUnsupported(digest, error)));
    if (!below || !files || files.length > MOST_FILES) return this.prepareWhole(ref, digest, signal);
    this.#below.set(digest, below.id);
    const reference = this.#referenceOf(ref, digest);
    const { entrypoint } = await this.#loader.load(reference, async () => below, signal);
    return { reference, files, entrypoint };
  }

  /** The same, with the app layer loaded into the engine, too. */
  async prepareWhole(ref: AppRef, digest: string, signal: AbortSignal): Promise<ReadyImage> {
    this.#below.set(digest, undefined);
    const reference = this.#referenceOf(ref, digest);
    const { entrypoint } = await this.#loader.load(reference, () => this.#read(digest), signal);
    return { reference, files: undefined, entrypoint };
  }

  /** Whether these files can still be mounted: somebody may have removed them, or the engine has turned out not to have them. */
  canMount(files: readonly MountedFile[]): boolean {
    return this.#mounts && areHere(files);
  }

  /**
   * Makes sure that a container that has been created, and not started, has a file of this machine. Podman, told to mount what
   * it does not have, makes a folder of that name. It is looked at once. Throws what {@link AppImages.cannotMount} knows.
   */
  async provePodman(api: EngineApi, container: string, [file]: readonly MountedFile[]): Promise<void> {
    if (!api.isPodman || this.#proven || file === undefined) return;
    if (!(await isFileIn(api, container, file.target))) {
      throw new EngineApiError(500, `mounting ${file.source}: it is no file there`);
    }
    this.#proven = true;
  }

  /**
   * Whether an error of the engine can come from its not having the files. Unless they are missing here, too, it will not have
   * those of other images either: from then on each is loaded whole.
   */
  cannotMount(error: unknown, files: readonly MountedFile[]): boolean {
    if (!(error instanceof EngineApiError) || !NO_MOUNT.test(error.message)) return false;
    if (this.#mounts && areHere(files)) {
      this.#mounts = false;
      this.#log(`the container engine has no files of this machine, so each image is loaded whole: ${error.message}`);
    }
    return true;
  }

  /** Removes what an app's images have left in the engine; `needed` is about digests. See {@link ImageLoader.retain}. */
  async retain(ref: AppRef, needed: () => ReadonlySet<string> | undefined): Promise<void> {
    // What is needed from an earlier platform on has not been made ready here.
    for (const digest of needed() ?? []) {
      if (!this.#below.has(digest)) this.#below.set(digest, await this.#idBelow(digest));
    }
    await this.#loader.retain(ref, () => {
      const digests = needed();
      return digests && new Set([...digests].map((digest) => this.#referenceOf(ref, digest)));
    });
  }

  /** Removes all of an app's. */
  async forget(ref: AppRef): Promise<void> {
    await this.#loader.forget(ref);
  }

  /** Reference of what a container of that image is made from. */
  #referenceOf(ref: AppRef, digest: string): string {
    const id = this.#below.get(digest);
    return id === undefined ? this.#loader.referenceOf(ref, digest) : this.#loader.referenceBelow(ref, id);
  }

  async #idBelow(digest: string): Promise<string | undefined> {
    if (this.#files === undefined || !this.#mounts) return undefined;
    const { below } = await this.#image(digest).catch(() => ({ below: undefined }));
    return below?.id;
  }

  async #read(digest: string): Promise<ImageToLoad> {
    const image = await this.#image(digest).catch((error: unknown) => unreadable(digest, error));
    if (!image.hasBase) throw new StartFailure(noBaseImage());
    return image;
  }
}

/** Whether a path of a container that has not been started is a file. */
async function isFileIn(api: EngineApi, container: string, path: string): Promise<boolean> {
  try {
    const archive = await api.download(`/containers/${container}/archive`, { query: { path } });
    let first: Buffer | undefined;
    for await (const bytes of archive) first ??= bytes as Buffer;
    // The kind of an entry stands at this place of a tar header.
    return first?.toString("latin1", 156, 157) === "0";
  } catch (error) {
    // Podman takes what is mounted for a folder, and says that it is none (seen with 4.3).
    return error instanceof EngineApiError && error.message.includes("not a directory");
  }
}

function areHere(files: readonly MountedFile[]): boolean {
  return files.every(({ source }) => statSync(source, { throwIfNoEntry: false })?.isFile());
}

/** The engine knows more kinds of layers than can be unpacked here. */
function unlessUnsupported(digest: string, error: unknown): undefined {
  if (!isAppctlError(error) || error.code !== "UNSUPPORTED_IMAGE") unreadable(digest, error);
}

function unreadable(digest: string, error: unknown): never {
  throw new StartFailure(imageUnreadable(digest, error), { cause: error });
}
