import type { Buffer } from "node:buffer";
import { usageError } from "../core/errors.ts";
import { parseRegistryAddress, REGISTRY_ADDRESS_RULE } from "../core/registry-address.ts";
import { withoutCredentials } from "../core/without-credentials.ts";
import type { OciLayout } from "../oci/layout.ts";
import { type Descriptor, parseReference } from "../oci/model.ts";
import type { ReferrerParts } from "../oci/referrer.ts";
import { type BlobSource, fromRepository } from "../oci/registry/blob-source.ts";
import { type FetchedImage, fetchImage } from "../oci/registry/fetch-image.ts";
import { type PushedReferrer, pushReferrer } from "../oci/registry/push-referrer.ts";
import { Repository } from "../oci/registry/repository.ts";
import { CHUNK_SIZE, uploadBlob } from "../oci/registry/upload-blob.ts";
import type { OciTarget } from "../oci/target.ts";
import type { ImageSource, ImageStore } from "./image-store.ts";

/** How {@link RegistryStore} reaches its registry. */
export interface RegistryStoreOptions {
  address: string;
  /** Opens the repository of an image's name. Each is opened once. */
  repositoryOf(name: string): Repository;
  near?: boolean;
  /** Bytes of one request, at most. */
  chunkSize?: number | undefined;
}

/** Images in a registry, by the OCI distribution protocol. */
export class RegistryStore implements ImageStore, ImageSource {
  readonly address: string;
  readonly near: boolean;
  readonly #options: RegistryStoreOptions;
  readonly #repositories = new Map<string, Repository>();
  /** Uploads that a registry began instead of a mount, by reference and digest: the content goes there. */
  readonly #begun = new Map<string, URL>();

  constructor(options: RegistryStoreOptions) {
    this.address = options.address;
    this.near = options.near === true;
    this.#options = options;
  }

  resolve(reference: string): Promise<Descriptor | undefined> {
    return this.#at(reference).resolve(parseReference(reference).tag);
  }

  has(reference: string, blob: Pick<Descriptor, "digest" | "size">): Promise<boolean> {
    return this.#at(reference).hasBlob(blob);
  }

  async mount(reference: string, blob: Descriptor, origin: BlobSource["origin"]): Promise<boolean> {
    const repository = this.#at(reference);
    const { host, plain } = repository.name;
    if (origin?.host !== host || origin.plain !== plain) return false;
    const location = await repository.mount(blob, origin.repository);
    if (location) this.#begun.set(`${reference} ${blob.digest}`, location);
    return location === undefined;
  }

  put(reference: string, blob: BlobSource, onBytes?: (bytes: number) => void): Promise<void> {
    const { chunkSize = CHUNK_SIZE } = this.#options;
    const location = this.#begun.get(`${reference} ${blob.digest}`);
    this.#begun.delete(`${reference} ${blob.digest}`);
    return uploadBlob(this.#at(reference), blob, { chunkSize, atOnce: this.near, location, onBytes });
  }

  async name(reference: string, { mediaType }: Descriptor, bytes: Buffer): Promise<void> {
    await this.#at(reference).putManifest(parseReference(reference).tag, bytes, mediaType);
  }

  open(reference: string, blob: Descriptor): BlobSource {
    return fromRepository(this.#at(reference), blob);
  }

  read(reference: string, digest: string, layout: OciLayout, target: OciTarget): Promise<FetchedImage> {
    return fetchImage(this.#at(reference), digest, layout, target);
  }

  attach(
    reference: string,
    subject: Descriptor,
    { parts, layout, find }: { parts: ReferrerParts; layout: OciLayout; find: boolean },
  ): Promise<PushedReferrer> {
    return pushReferrer(this.#at(reference), layout, subject, parts, { find });
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#repositories.values()].map((repository) => repository.close()));
  }

  #at(reference: string): Repository {
    const { name } = parseReference(reference);
    const repository = this.#repositories.get(name) ?? this.#options.repositoryOf(name);
    this.#repositories.set(name, repository);
    return repository;
  }
}

/** What {@link registryAt} needs: `env` says where credentials are; layers of the base may be mounted from `mountFrom`. */
export interface RegistryOptions {
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  mountFrom?: BlobSource["origin"];
}

/** The registry at `text`, as `parseRegistryAddress` takes it. Throws INVALID_REGISTRY. */
export function registryAt(text: string, { env, signal, mountFrom: base }: RegistryOptions): RegistryStore {
  const address = parseRegistryAddress(text);
  if (!address) {
    const message = `the registry "${withoutCredentials(text)}" ${REGISTRY_ADDRESS_RULE}`;
    throw usageError(message, { code: "INVALID_REGISTRY" });
  }
  const { host, plain, prefix } = address;
  const mountFrom = base?.host === host && base.plain === plain ? [base.repository] : [];
  const below = (name: string) => (prefix === "" ? name : `${prefix}/${name}`);
  const repositoryOf = (name: string) =>
    new Repository({ name: { host, plain, repository: below(name) }, access: "push", env, signal, mountFrom });
  return new RegistryStore({ address: prefix === "" ? host : `${host}/${prefix}`, repositoryOf });
}
