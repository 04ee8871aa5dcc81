import { brand } from "./brand.ts";
import type { ImageSpecOptions } from "./options.ts";

/**
 * The environment that an app runs in: packages, environment variables, base image. The same spec gives the same tag.
 * The `with…` methods return a new spec and leave this one as it is, so that several apps can start from one:
 *
 * ```ts
 * const base = new ImageSpec({ packages: ["hono@4.13.19"] });
 * const api = base.withPackages("zod").withEnv({ LOG_LEVEL: "debug" });
 * ```
 */
export class ImageSpec {
  readonly options: Readonly<ImageSpecOptions>;

  constructor(options: ImageSpecOptions = {}) {
    brand(this, "ImageSpec");
    this.options = options;
  }

  /** With another name. */
  withName(name: string): ImageSpec {
    return this.#with({ name });
  }

  /** With these npm packages besides its own: `withPackages("hono@4.13.19", "zod")`, or a list of them. */
  withPackages(...packages: (string | readonly string[])[]): ImageSpec {
    return this.#with({ packages: joined(this.options.packages, packages) });
  }

  /** With these environment variables besides its own; a variable of both takes the new value. */
  withEnv(env: Readonly<Record<string, string>>): ImageSpec {
    return this.#with({ env: { ...this.options.env, ...env } });
  }

  /** Installed from this lock file, frozen. */
  withRequirements(requirements: string): ImageSpec {
    return this.#with({ requirements });
  }

  /** On top of another base image. */
  withBaseImage(baseImage: string): ImageSpec {
    return this.#with({ baseImage });
  }

  /** With another version of Node in its base image. */
  withNodeVersion(nodeVersion: string): ImageSpec {
    return this.#with({ nodeVersion });
  }

  /** Kept in another registry. */
  withRegistry(registry: string): ImageSpec {
    return this.#with({ registry });
  }

  /** Made by another builder. */
  withBuilder(builder: NonNullable<ImageSpecOptions["builder"]>): ImageSpec {
    return this.#with({ builder });
  }

  /** For these platforms instead: `withPlatform("linux/amd64", "linux/arm64")`. */
  withPlatform(...platform: (string | readonly string[])[]): ImageSpec {
    return this.#with({ platform: platform.flat() });
  }

  /** With the files of these globs besides its own. */
  withCopy(...globs: (string | readonly string[])[]): ImageSpec {
    return this.#with({ copy: joined(this.options.copy, globs) });
  }

  /** With these shell commands after its own. They need `builder: "docker"`. */
  withCommands(...commands: (string | readonly string[])[]): ImageSpec {
    return this.#with({ commands: joined(this.options.commands, commands) });
  }

  /** With these Debian packages besides its own. They need `builder: "docker"`. */
  withAptPackages(...packages: (string | readonly string[])[]): ImageSpec {
    return this.#with({ aptPackages: joined(this.options.aptPackages, packages) });
  }

  /** With another entry point: `withEntrypoint("node", "cli.js")`. */
  withEntrypoint(...entrypoint: (string | readonly string[])[]): ImageSpec {
    return this.#with({ entrypoint: entrypoint.flat() });
  }

  /** Built even when the image exists. */
  withForce(force = true): ImageSpec {
    return this.#with({ force });
  }

  #with(changes: ImageSpecOptions): ImageSpec {
    return new ImageSpec({ ...this.options, ...changes });
  }
}

/** A list and more. What is no list stays as it is, since nothing here throws: the deploy says what is wrong with it. */
function joined(list: string[] | undefined, more: (string | readonly string[])[]): string[] {
  return list === undefined || Array.isArray(list) ? [...(list ?? []), ...more.flat()] : list;
}
