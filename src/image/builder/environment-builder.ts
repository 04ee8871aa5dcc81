/** The seam between what makes an environment image and who does it: this machine (`local-builder.ts`) or the platform (`remote-builder.ts`). */
import type { OciLayout } from "../../oci/layout.ts";
import type { Descriptor } from "../../oci/model.ts";
import type { Platform } from "../../packages/npm-target.ts";
import type { EnvironmentImage, EnvironmentPlan, EnvironmentSpec, ResolvedEnvironment } from "../environment-image.ts";

/** What {@link EnvironmentBuilder.resolve} gives. */
export interface Resolved extends ResolvedEnvironment {
  /** The machine that the platform runs on, when it was the platform that did it. */
  host?: Platform | undefined;
}

/** An environment image that need not be built. `unnamed`: the place that was asked does not have it under its name. */
export interface FoundEnvironment {
  image: EnvironmentImage;
  unnamed?: Descriptor | undefined;
  /** What a registry has under that name: the same image, or the same on its base. */
  there?: EnvironmentImage | undefined;
  /** What it was built after, when that has changed since it was planned. */
  plan?: EnvironmentPlan | undefined;
}

/** Where an environment image is to be. */
export interface BuildTarget {
  layout: OciLayout;
  /** Its layers are needed in the layout. Else it is enough that the platform has them. */
  whole: boolean;
}

/** Both steps of making an environment image. */
export interface EnvironmentBuilder {
  resolve(spec: EnvironmentSpec): Promise<Resolved>;
  build(plan: EnvironmentPlan, target: BuildTarget): Promise<FoundEnvironment>;
}
