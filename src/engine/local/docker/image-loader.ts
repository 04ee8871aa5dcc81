/** Brings the images of revisions into the engine, from the platform's own store: no registry is asked. */
import { type EngineApi, EngineApiError } from "../../../container-engine/docker-api.ts";
import type { AppRef } from "../../../contract/types.ts";

/** Layers and a configuration to load. See `image/docker-archive.ts`, which makes it. */
export interface StackToLoad {
  diffIds: string[];
  archive(reference: string, present: number): AsyncIterable<Uint8Array>;
}

/** An image to load. */
export interface ImageToLoad extends StackToLoad {
  hasBase: boolean;
}

/** Reads an image of the platform's store. */
export type ImageReader = (digest: string) => Promise<ImageToLoad>;

/** An image that the engine has. */
export interface LoadedImage {
  /** Digests of the uncompressed layers, lowest first. */
  layers: string[];
  /** What an app's `args` are handed to. */
  entrypoint: string[];
}

interface InspectedImage {
  RootFS?: { Layers?: string[] | null };
  Config?: { Entrypoint?: string[] | null } | null;
}

/** A load under way. It ends early only when nobody waits for it any more. */
interface Loading {
  image: Promise<LoadedImage>;
  ending: AbortController;
  waiting: number;
}

/** How many images are looked through for layers that the engine has. */
const MOST_LOOKED_AT = 32;

/** Loads images. */
export class ImageLoader {
  readonly #api: EngineApi;
  readonly #prefix: string;
  readonly #loading = new Map<string, Loading>();
  /** Images whose removal is under way: who wants one of them again waits, and loads it again. */
  readonly #removing = new Map<string, Promise<void>>();
  /** Layers of images that the engine has: each a whole stack, lowest first. */
  #stacks: Promise<string[][]> | undefined;

  /** `platform` names the platform, so that two on one engine do not take each other's images away. */
  constructor(api: EngineApi, platform: string) {
    this.#api = api;
    // With a host in front: Podman takes a bare name for one of its registries.
    this.#prefix = `localhost/${platform}`;
  }

  /** Reference under which the engine knows an app's image. */
  referenceOf(ref: AppRef, digest: string): string {
    return `${this.#repositoryOf(ref)}:${digest.replace(/^sha256:/, "").slice(0, 32)}`;
  }

  /** Reference under which it knows an outlined image of an app. */
  referenceOfOutline(ref: AppRef, id: string): string {
    return `${this.#repositoryOf(ref)}:outline-${id.slice(0, 32)}`;
  }

  /**
   * Makes sure that the engine has the image. Two who ask at once load it once; who is aborted leaves, and takes nothing from
   * the other.
   */
  async load(reference: string, read: () => Promise<StackToLoad>, signal: AbortSignal): Promise<LoadedImage> {
    for (let removing = this.#removing.get(reference); removing; removing = this.#removing.get(reference))
      await removing.catch(() => {}); // its own caller gets the error
    const loading = this.#loading.get(reference) ?? this.#begin(reference, read);
    loading.waiting++;
    try {
      return await unlessAborted(loading.image, signal);
    } finally {
      if (--loading.waiting === 0) {
        if (this.#loading.get(reference) === loading) this.#loading.delete(reference);
        loading.ending.abort();
      }
    }
  }

  #begin(reference: string, read: () => Promise<StackToLoad>): Loading {
    const ending = new AbortController();
    const bring = async () =>
      (await this.#find(reference)) ?? (await this.#load(reference, await read(), ending.signal));
    const loading = { image: bring(), ending, waiting: 0 };
    this.#loading.set(reference, loading);
    return loading;
  }

  /**
   * Removes the images of an app that nothing needs any more: `needed` gives the references that are needed when it is called,
   * undefined for all. The engine keeps the layers that another image has.
   */
  async retain(ref: AppRef, needed: () => ReadonlySet<string> | undefined): Promise<void> {
    if (needed() === undefined) return;
    for (const tag of await this.#tagsOf(ref)) {
      // Asked again before each: a revision that is wanted meanwhile finds its image, or waits for the end of its removal.
      const kept = needed();
      if (kept === undefined) return;
      if (kept.has(tag)) continue;
      this.#loading.delete(tag); // what it has found may be gone in a moment
      const removing = this.#removing.get(tag) ?? this.#remove(tag).finally(() => this.#removing.delete(tag));
      this.#removing.set(tag, removing);
      await removing;
    }
  }

  /** Removes every image of an app. One that a container still uses stays. */
  async forget(ref: AppRef): Promise<void> {
    for (const tag of await this.#tagsOf(ref)) await this.#remove(tag);
  }

  /** Takes the tag away; the engine removes the image and its layers when nothing else has them. */
  async #remove(tag: string): Promise<void> {
    try {
      await this.#api.json("DELETE", `/images/${tag}`);
    } catch (error) {
      if (!(error instanceof EngineApiError && (error.status === 404 || error.status === 409))) throw error;
    }
    this.#stacks = undefined; // the layers that only it had are gone
  }

  async #tagsOf(ref: AppRef): Promise<string[]> {
    const repository = this.#repositoryOf(ref);
    return (await imageTags(this.#api)).filter((tag) => tag.startsWith(`${repository}:`));
  }

  async #load(reference: string, image: StackToLoad, signal: AbortSignal): Promise<LoadedImage> {
    const reading = this.#stacks ?? this.#readStacks();
    this.#stacks = reading;
    const stacks = await reading.catch((error: unknown) => {
      if (this.#stacks === reading) this.#stacks = undefined;
      throw error;
    });
    const present = Math.max(0, ...stacks.map((stack) => commonLayers(stack, image.diffIds)));
    const loaded = await this.#send(reference, image, present, signal).catch((error: unknown) => {
      if (present === 0 || signal.aborted) throw error;
      // What it had is gone meanwhile, or it wants to see every layer.
      return this.#send(reference, image, 0, signal);
    });
    stacks.push(image.diffIds);
    return loaded;
  }

  async #send(reference: string, image: StackToLoad, present: number, signal: AbortSignal): Promise<LoadedImage> {
    const answer = await this.#api.upload("/images/load", image.archive(reference, present), {
      query: { quiet: "1" },
      signal,
    });
    const fault = faultIn(answer);
    if (fault !== undefined) throw new Error(fault);
    const loaded = await this.#find(reference);
    if (!loaded) throw new Error(`the engine took it and does not have it: ${answer.trim().slice(0, 500)}`);
    if (loaded.layers.join() !== image.diffIds.join()) throw new Error("the engine has other layers than were sent");
    return loaded;
  }

  async #find(reference: string): Promise<LoadedImage | undefined> {
    try {
      const { RootFS, Config } = await this.#api.json<InspectedImage>("GET", `/images/${reference}/json`);
      return { layers: RootFS?.Layers ?? [], entrypoint: Config?.Entrypoint ?? [] };
    } catch (error) {
      if (error instanceof EngineApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #readStacks(): Promise<string[][]> {
    const tags = (await imageTags(this.#api)).filter((tag) => tag.startsWith("localhost/appctl-"));
    const images = await Promise.all(tags.slice(0, MOST_LOOKED_AT).map((tag) => this.#find(tag)));
    return images.flatMap((image) => (image ? [image.layers] : []));
  }

  #repositoryOf({ project, domain, name }: AppRef): string {
    return `${this.#prefix}/${project}/${domain}/${name}`;
  }
}

/** What the promise gives, or the reason of the abort when that comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** How often a listing is tried that was taken while an image was being removed. */
const LISTINGS = 20;

/** References of all images of an engine. */
export async function imageTags(api: EngineApi): Promise<string[]> {
  for (let left = LISTINGS; ; left--) {
    try {
      const images = await api.json<{ RepoTags?: string[] | null }[]>("GET", "/images/json");
      return images.flatMap(({ RepoTags }) => RepoTags ?? []);
    } catch (error) {
      // Podman lists images, then reads each: it fails as a whole when one is gone by then. The next listing has it no more.
      if (left === 0 || !(error instanceof EngineApiError && /image not known/.test(error.message))) throw error;
    }
  }
}

/** How many of the lowest layers two stacks share. */
export function commonLayers(one: readonly string[], other: readonly string[]): number {
  const at = one.findIndex((layer, index) => layer !== other[index]);
  return at === -1 ? one.length : at;
}

/** The error that an engine reports in the midst of an answer that began well: a line of JSON. */
export function faultIn(answer: string): string | undefined {
  for (const line of answer.split("\n")) {
    if (!line.includes('"error')) continue;
    try {
      const { error, errorDetail }: { error?: string; errorDetail?: { message?: string } } = JSON.parse(line);
      const fault = errorDetail?.message ?? error;
      if (fault) return fault;
    } catch {
      // no JSON: progress of some other kind
    }
  }
  return undefined;
}
