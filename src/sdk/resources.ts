import { brand } from "./brand.ts";
import type { ResourcesOptions } from "./options.ts";

/** CPU and memory of one replica, in Kubernetes' notation: `new Resources({ cpu: "1", mem: "1Gi" })`. */
export class Resources {
  readonly cpu: string | number | undefined;
  readonly mem: string | number | undefined;

  constructor(options: ResourcesOptions = {}) {
    brand(this, "Resources");
    this.cpu = options?.cpu;
    this.mem = options?.mem;
  }
}
