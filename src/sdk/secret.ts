import { brand } from "./brand.ts";
import type { SecretOptions } from "./options.ts";

/**
 * A secret that the app asks for. The value is never in the file, the bundle or the image: the platform gives it to the
 * running app as an environment variable or a file, pinned to one version for each revision.
 */
export class Secret {
  /** As given: a deploy reports misspelt options. */
  readonly options: Readonly<SecretOptions>;
  readonly key: string;
  readonly envVar: string | undefined;
  readonly mount: "env" | "file" | undefined;

  constructor(options: SecretOptions) {
    brand(this, "Secret");
    this.options = options;
    this.key = options?.key;
    this.envVar = options?.envVar;
    this.mount = options?.mount;
  }
}
