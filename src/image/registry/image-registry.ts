import { usageError } from "../../core/errors.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE, type RegistryAddress } from "../../core/registry-address.ts";
import { type EnvironmentImage, isWhole, loadEnvironment } from "../environment.ts";
import type { OciLayout } from "../layout.ts";
import { type Descriptor, type Platform, parseReference } from "../oci.ts";
import { fetchBlob, fetchImage } from "./pull-image.ts";
import { pushImage } from "./push-image.ts";
import { Repository } from "./repository.ts";

/** The images of a deploy in a registry, under `<registry>/<name>:<tag>`. */
export class ImageRegistry {
  readonly #address: RegistryAddress;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;
  readonly #repositories = new Map<string, Repository>();

  /** `text` is as `parseRegistryAddress` takes it; throws INVALID_REGISTRY. `env` tells where credentials are. */
  constructor(text: string, env: NodeJS.ProcessEnv, signal: AbortSignal) {
    const address = parseRegistryAddress(text);
    if (!address) throw usageError(`the registry "${text}" ${REGISTRY_ADDRESS_RULE}`, { code: "INVALID_REGISTRY" });
    this.#address = address;
    this.#env = env;
    this.#signal = signal;
  }

  /** What stands before `/<name>:<tag>`. */
  get text(): string {
    const { host, prefix } = this.#address;
    return prefix === "" ? host : `${host}/${prefix}`;
  }

  /**
   * The environment image `reference` (`<name>:<tag>`) as the registry has it, else as the layout has it whole; `pushed` tells
   * which. Undefined when neither has it. Throws when the registry cannot be asked.
   */
  async find(
    reference: string,
    layout: OciLayout,
    platform: Platform,
  ): Promise<{ image: EnvironmentImage & { descriptor: Descriptor }; pushed: boolean } | undefined> {
    const { repository, tag } = this.#place(reference);
    const [there, here] = await Promise.all([repository.resolve(tag), loadEnvironment(layout, reference)]);
    if (!there) return here && (await isWhole(layout, here.manifest)) ? { image: here, pushed: false } : undefined;
    if (here?.descriptor.digest === there.digest) return { image: here, pushed: true };
    // Built on another machine: manifest and configuration are all that an app image needs to stand on it.
    return { image: { reference, ...(await fetchImage(repository, there.digest, layout, platform)) }, pushed: true };
  }

  /** Brings an image of the layout to the registry, under its reference; see {@link pushImage}. */
  async push(
    image: { reference: string; descriptor: Descriptor },
    layout: OciLayout,
    onProgress: (done: number, total: number) => void,
  ): Promise<void> {
    const { repository, tag } = this.#place(image.reference);
    await pushImage({ repository, layout, image: image.descriptor, tag, onProgress });
  }

  /** Brings content of the image `reference` into the layout, when it is not there. */
  async fetch(blob: Descriptor, reference: string, layout: OciLayout): Promise<void> {
    await fetchBlob(this.#place(reference).repository, blob, layout);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#repositories.values()].map((repository) => repository.close()));
  }

  #place(reference: string): { repository: Repository; tag: string } {
    const { name, tag } = parseReference(reference);
    const { host, plain, prefix } = this.#address;
    const path = prefix === "" ? name : `${prefix}/${name}`;
    let repository = this.#repositories.get(path);
    if (!repository) {
      const options = { access: "push" as const, env: this.#env, signal: this.#signal };
      repository = new Repository({ name: { host, plain, repository: path }, ...options });
      this.#repositories.set(path, repository);
    }
    return { repository, tag };
  }
}
