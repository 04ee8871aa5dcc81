import { brand } from "./brand.ts";
import type { ImageSpecOptions } from "./options.ts";

/** The environment that an app runs in: packages, environment variables, base image. The same spec gives the same tag. */
export class ImageSpec {
  readonly options: Readonly<ImageSpecOptions>;

  constructor(options: ImageSpecOptions = {}) {
    brand(this, "ImageSpec");
    this.options = options;
  }
}
