import { brand } from "./brand.ts";
import type { ResourcesOptions } from "./options.ts";

/** CPU, memory and storage of one replica, in Kubernetes' notation: `new Resources({ cpu: "1", mem: "1Gi" })`. */
export class Resources {
  /** As given: a deploy reports misspelt options. */
  readonly options: Readonly<ResourcesOptions>;
  readonly cpu: string | number | undefined;
  readonly mem: string | number | undefined;
  readonly ephemeralStorage: string | number | undefined;

  constructor(options: ResourcesOptions = {}) {
    brand(this, "Resources");
    this.options = options;
    this.cpu = options?.cpu;
    this.mem = options?.mem;
    this.ephemeralStorage = options?.ephemeralStorage;
  }
}
