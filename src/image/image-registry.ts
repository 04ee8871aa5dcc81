import { usageError } from "../core/errors.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE, type RegistryAddress } from "../core/registry-address.ts";
import { withoutCredentials } from "../core/without-credentials.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, parseReference } from "../oci/model.ts";
import type { Referrer } from "../oci/referrer.ts";
import { type FetchedImage, fetchBlob, fetchImage } from "../oci/registry/pull-image.ts";
import { pushImage } from "../oci/registry/push-image.ts";
import { findOrPushReferrer, type PushedReferrer, pushReferrer } from "../oci/registry/push-referrer.ts";
import { Repository } from "../oci/registry/repository.ts";
import { goPlatform } from "../packages/npm-target.ts";
import { type BaseImage, onBase } from "./base-image.ts";
import {
  type EnvironmentImage,
  type EnvironmentPlan,
  isWhole,
  loadEnvironment,
  writeEnvironment,
} from "./environment-image.ts";
import { LAYER_ROLE } from "./layer.ts";

/** What {@link ImageRegistry.find} finds. */
export interface RegistryEnvironment {
  /** The environment image without its base. */
  image: EnvironmentImage & { descriptor: Descriptor };
  /** The image that the registry has for it, with the base below; absent when it has none. */
  there?: EnvironmentImage & { descriptor: Descriptor };
}

/** The images of a deploy in a registry, under `<registry>/<name>:<tag>`. */
export class ImageRegistry {
  readonly #address: RegistryAddress;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;
  readonly #base: BaseImage | undefined;
  readonly #repositories = new Map<string, Repository>();

  /**
   * `text` is as `parseRegistryAddress` takes it; throws INVALID_REGISTRY. `env` tells where credentials are. `base` is
   * the image that is put below what is pushed; it is closed with this.
   */
  constructor(text: string, env: NodeJS.ProcessEnv, signal: AbortSignal, base?: BaseImage) {
    const address = parseRegistryAddress(text);
    if (!address)
      throw usageError(`the registry "${withoutCredentials(text)}" ${REGISTRY_ADDRESS_RULE}`, {
        code: "INVALID_REGISTRY",
      });
    this.#address = address;
    this.#env = env;
    this.#signal = signal;
    this.#base = base;
  }

  /** What stands before `/<name>:<tag>`. */
  get text(): string {
    const { host, prefix } = this.#address;
    return prefix === "" ? host : `${host}/${prefix}`;
  }

  /** What is put below the images, if anything is. */
  get base(): BaseImage | undefined {
    return this.#base;
  }

  /**
   * The planned environment image as the registry has it, else as the layout has it whole. Undefined when neither has it.
   * Throws when the registry cannot be asked.
   */
  async find(plan: EnvironmentPlan, layout: OciLayout): Promise<RegistryEnvironment | undefined> {
    const { reference, platform } = plan;
    const { repository, tag } = this.#place(reference);
    const [found, here] = await Promise.all([repository.resolve(tag), loadEnvironment(layout, reference)]);
    if (!found) return here && (await isWhole(layout, here.manifest)) ? { image: here } : undefined;
    if (!this.#base && here?.descriptor.digest === found.digest) return { image: here, there: here };
    // Built on another machine, or on a base: manifest and configuration are all that an app image needs to stand on it.
    const fetched = await fetchImage(repository, found.digest, layout, goPlatform(platform));
    if (!this.#base) return { image: { reference, ...fetched }, there: { reference, ...fetched } };
    const own = here && (await isWhole(layout, here.manifest)) ? here : await withoutBase(plan, fetched, layout);
    return { image: own, there: { reference: pushedName(reference), ...fetched } };
  }

  /** The environment image as it is to be in the registry: on its base, when it has one. */
  async based(image: EnvironmentImage & { descriptor: Descriptor }, plan: EnvironmentPlan, layout: OciLayout) {
    if (!this.#base) return image;
    const base = await this.#base.fetch(layout, plan.platform);
    return onBase(image, base, pushedName(image.reference), layout);
  }

  /**
   * Brings an image of the layout to the registry as `<name>:<tag>`; layers of its base come from where that is. `about` gives an
   * artifact about the image, which stands beside it then; it is asked when the registry has been.
   */
  async push(
    reference: string,
    image: Descriptor,
    layout: OciLayout,
    onProgress: (done: number, total: number) => void,
    about?: () => Promise<Referrer>,
  ): Promise<PushedReferrer | undefined> {
    const { repository, tag } = this.#place(reference);
    const mountFrom = this.#base?.mountableAt(this.#address);
    const elsewhere = this.#base?.repository;
    if (!about) {
      await pushImage({ repository, layout, image, tag, mountFrom, elsewhere, onProgress });
      return undefined;
    }
    let pushed: PushedReferrer | undefined;
    const beside = async () => {
      pushed = await pushReferrer(repository, layout, image, (await about()).parts);
    };
    await pushImage({ repository, layout, image, tag, mountFrom, elsewhere, onProgress, beside });
    // The tag comes last, so an image that is there has its artifact, unless that came to say something else since.
    return pushed ?? findOrPushReferrer(repository, layout, image, (await about()).parts);
  }

  /** Brings an index to the registry as `<name>:<tag>`; its images are there already. */
  async pushIndex(reference: string, index: Descriptor, layout: OciLayout): Promise<void> {
    const { repository, tag } = this.#place(reference);
    if ((await repository.resolve(tag))?.digest === index.digest) return;
    await repository.putManifest(tag, await layout.readBlob(index.digest), index.mediaType);
  }

  /** Brings content of the image `reference` into the layout, when it is not there. */
  async fetch(blob: Descriptor, reference: string, layout: OciLayout): Promise<void> {
    await fetchBlob(this.#place(reference).repository, blob, layout);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#repositories.values(), this.#base].map((each) => each?.close()));
  }

  #place(reference: string): { repository: Repository; tag: string } {
    const { name, tag } = parseReference(reference);
    const { host, plain, prefix } = this.#address;
    const path = prefix === "" ? name : `${prefix}/${name}`;
    let repository = this.#repositories.get(path);
    if (!repository) {
      const from = this.#base?.mountableAt(this.#address);
      const options = { access: "push" as const, env: this.#env, signal: this.#signal };
      const mountFrom = from === undefined ? [] : [from];
      repository = new Repository({ name: { host, plain, repository: path }, ...options, mountFrom });
      this.#repositories.set(path, repository);
    }
    return { repository, tag };
  }
}

/** The name in this machine's layout of an image on its base, which is another one than that without. */
const pushedName = (reference: string) => `pushed/${reference}`;

/** The environment image of a plan, made of the layers that an image on a base has above it. */
function withoutBase(plan: EnvironmentPlan, { manifest, config }: FetchedImage, layout: OciLayout) {
  const layers = manifest.layers.flatMap((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    return descriptor.annotations?.[LAYER_ROLE] === undefined || diffId === undefined ? [] : [{ descriptor, diffId }];
  });
  return writeEnvironment(plan, layers, layout);
}
