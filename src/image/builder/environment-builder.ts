/** Who gives an image's packages their versions and builds its environment image: this machine. The platform is the other one. */
import type { OciLayout } from "../../oci/layout.ts";
import type { Descriptor } from "../../oci/model.ts";
import type { Platform } from "../../packages/npm-target.ts";
import {
  buildEnvironment,
  type EnvironmentContext,
  type EnvironmentImage,
  type EnvironmentPlan,
  type EnvironmentSpec,
  type ResolvedEnvironment,
  resolveEnvironment,
} from "../environment-image.ts";

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

/** The one that does it here. `force`: ask the registry again, and build what is there already. */
export function localBuilder(context: EnvironmentContext, force: boolean | undefined): EnvironmentBuilder {
  return {
    resolve: (spec) => resolveEnvironment(spec, { ...context, refresh: force }),
    build: async (plan, { layout }) => {
      const image = await buildEnvironment(plan, layout, { ...context, force });
      return { image, unnamed: image.descriptor };
    },
  };
}
