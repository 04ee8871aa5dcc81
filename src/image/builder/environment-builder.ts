/** The seam between what makes an environment image and who does it: this machine (`local-builder.ts`) or the platform (`remote-builder.ts`). */
import type { OciLayout } from "../../oci/layout.ts";
import type { NpmTarget } from "../../packages/npm-target.ts";
import type { EnvironmentImage, EnvironmentPlan, EnvironmentSpec, ResolvedEnvironment } from "../environment-image.ts";

/** What {@link EnvironmentBuilder.resolve} gives. */
export interface Resolved extends ResolvedEnvironment {
  /** The machine that the platform runs on, when it was the platform that did it. */
  host?: NpmTarget | undefined;
}

/** Where an environment image is to be. */
export interface BuildTarget {
  layout: OciLayout;
  /** Its layers are needed in the layout. Else it is enough that the platform has them. */
  whole: boolean;
}

/** What was built, and after which plan: a platform may have given packages other versions since they were resolved. */
export interface BuiltPlan {
  plan: EnvironmentPlan;
  environment: EnvironmentImage;
}

/** Both steps of making an environment image. */
export interface EnvironmentBuilder {
  resolve(spec: EnvironmentSpec): Promise<Resolved>;
  build(plan: EnvironmentPlan, target: BuildTarget): Promise<BuiltPlan>;
}
