/**
 * How an app's image gets into a container. The engine takes long to load an image, and each deploy has a new one in which
 * mostly the bytes of the app's own files alone are new. So it gets an image with an outline of the app layer, once, and the
 * files of the layer are mounted over it, each where the image has it. An engine that cannot do that loads the image whole.
 */
import { statSync } from "node:fs";
import { type EngineApi, EngineApiError } from "../../../container-engine/docker-api.ts";
import type { AppRef } from "../../../contract/types.ts";
import { messageOf } from "../../../core/errors.ts";
import { causeOf } from "../../causes.ts";
import { StartFailure } from "../runtime.ts";
import type { ImageLoader, ImageReader, ImageToLoad } from "./image-loader.ts";

/** A file of this machine, and where a container has it, read only. Both are absolute. */
export interface MountedFile {
  source: string;
  target: string;
}

/** An image whose app layer is an outline, and the files that belong there. See `image/docker-archive.ts`, which makes it. */
export interface ImageToMount extends ImageToLoad {
  id: string;
  files: MountedFile[];
}

/** Reads an image of the platform's store so; undefined for one that has no such form. */
export type OutlineReader = (digest: string) => Promise<ImageToMount | undefined>;

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
  image: ImageReader;
  /** Undefined: images are loaded whole. */
  outline: OutlineReader | undefined;
  log(message: string): void;
}

/** Makes images ready for containers. */
export class AppImages {
  readonly #loader: ImageLoader;
  readonly #image: ImageReader;
  readonly #outline: OutlineReader | undefined;
  readonly #log: (message: string) => void;
  /** Ids of outlined images, by digest of the image; undefined for one that has none. */
  readonly #outlines = new Map<string, string | undefined>();
  /** Turned off by the first engine that sees no files of this machine. */
  #mounts = true;
  /** Podman has had such a file. */
  #proven = false;

  constructor({ loader, image, outline, log }: AppImagesOptions) {
    this.#loader = loader;
    this.#image = image;
    this.#outline = outline;
    this.#log = log;
  }

  /** Makes the image with that digest ready. Throws a {@link StartFailure} for an image that cannot run, and what the engine says. */
  async prepare(ref: AppRef, digest: string, signal: AbortSignal): Promise<ReadyImage> {
    const image = this.#mounts ? await read(this.#outline, digest) : undefined;
    if (!image) return this.prepareWhole(ref, digest, signal);
    this.#outlines.set(digest, image.id);
    const reference = this.#loader.referenceOfOutline(ref, image.id);
    const { entrypoint } = await this.#loader.load(reference, async () => image, signal);
    return { reference, files: image.files, entrypoint };
  }

  /** The same, with the app layer loaded into the engine, too. */
  async prepareWhole(ref: AppRef, digest: string, signal: AbortSignal): Promise<ReadyImage> {
    const reference = this.#loader.referenceOf(ref, digest);
    const image = async () => (await read(this.#image, digest)) as ImageToLoad;
    const { entrypoint } = await this.#loader.load(reference, image, signal);
    return { reference, files: undefined, entrypoint };
  }

  /** Whether these files can still be mounted: somebody may have removed them, or the engine has turned out not to have them. */
  canMount(files: readonly MountedFile[]): boolean {
    return this.#mounts && areHere(files);
  }

  /**
   * Makes sure that a container that has been created, and not started, has a file of this machine. Podman, asked to mount what
   * it does not have, makes a folder of that name. It is asked until it has said so once. Throws what
   * {@link AppImages.cannotMount} knows.
   */
  async provePodman(api: EngineApi, container: string, [file]: readonly MountedFile[]): Promise<void> {
    if (!api.isPodman || this.#proven || file === undefined) return;
    const kind = await kindIn(api, container, file.target);
    if (kind === "folder") throw new EngineApiError(500, `mounting ${file.source}: it is no file there`);
    this.#proven = kind === "file";
  }

  /**
   * Whether an error of the engine can come from its not having the files: then the image is loaded whole. When it says so of one
   * that is here, it will not have those of other images either.
   */
  cannotMount(error: unknown, files: readonly MountedFile[]): boolean {
    if (!(error instanceof EngineApiError) || !NO_MOUNT.test(error.message)) return false;
    const names = files.some(({ source }) => error.message.includes(source));
    if (this.#mounts && names && areHere(files)) {
      this.#mounts = false;
      this.#log(`the container engine has no files of this machine, so each image is loaded whole: ${error.message}`);
    }
    return true;
  }

  /** Removes what an app's images have left in the engine; `needed` is about digests. See {@link ImageLoader.retain}. */
  async retain(ref: AppRef, needed: () => ReadonlySet<string> | undefined): Promise<void> {
    // What is needed from an earlier platform on has not been made ready here.
    for (const digest of needed() ?? []) {
      if (this.#outlines.has(digest)) continue;
      // An unreadable one has no outline; its start fails with the reason.
      const image = await this.#outline?.(digest).catch(() => undefined);
      if (!this.#outlines.has(digest)) this.#outlines.set(digest, image?.id);
    }
    await this.#loader.retain(ref, () => {
      const digests = needed();
      return digests && new Set([...digests].flatMap((digest) => this.#referencesOf(ref, digest)));
    });
  }

  /** Removes all of an app's. */
  async forget(ref: AppRef): Promise<void> {
    await this.#loader.forget(ref);
  }

  /** Everything that a container of that image may have been made from. */
  #referencesOf(ref: AppRef, digest: string): string[] {
    const id = this.#outlines.get(digest);
    const whole = this.#loader.referenceOf(ref, digest);
    return id === undefined ? [whole] : [whole, this.#loader.referenceOfOutline(ref, id)];
  }
}

/** Reads an image that can run. Undefined when there is none of that form, or too much of it. */
async function read<T extends ImageToLoad & { files?: MountedFile[] }>(
  source: ((digest: string) => Promise<T | undefined>) | undefined,
  digest: string,
): Promise<T | undefined> {
  const image = await source?.(digest).catch((error: unknown) => {
    throw new StartFailure(causeOf("imageUnreadable", { digest, error: messageOf(error) }), { cause: error });
  });
  if (image && !image.hasBase) throw new StartFailure(causeOf("noBaseImage"));
  return (image?.files?.length ?? 0) > MOST_FILES ? undefined : image;
}

/** Offset of an entry's kind in a tar header. */
const KIND_AT = 156;

/** What a path of a container is that has not been started; undefined when the engine does not say. */
async function kindIn(api: EngineApi, container: string, path: string): Promise<"file" | "folder" | undefined> {
  try {
    let header = Buffer.alloc(0);
    for await (const bytes of await api.download(`/containers/${container}/archive`, { query: { path } })) {
      header = Buffer.concat([header, bytes]);
      if (header.length > KIND_AT) break;
    }
    const kind = header.toString("latin1", KIND_AT, KIND_AT + 1);
    return kind === "5" ? "folder" : kind === "0" ? "file" : undefined;
  } catch (error) {
    // Podman takes what is mounted for a folder, and a process of its own says that it is none (seen with 4.3). What else that
    // one says tells nothing of the path.
    return error instanceof EngineApiError && error.message.includes("not a directory") ? "file" : undefined;
  }
}

function areHere(files: readonly MountedFile[]): boolean {
  return files.every(({ source }) => statSync(source, { throwIfNoEntry: false })?.isFile());
}
