import type { NpmTarget } from "../packages/npm-target.ts";
import { type EnvironmentPlan, planFor, type ResolvedEnvironment } from "./environment-image.ts";
import { isSameTarget, pushedTargets } from "./targets.ts";

/** What an app's image will be and where it goes: plain data, all that `deliver` needs to decide nothing itself. */
export interface ImagePlan {
  /** The environment image for each os and processor: its tag, its base as written, its layers. The app goes on top of it. */
  targets: EnvironmentPlan[];
  /** In the order in which they get the image. */
  destinations: Destination[];
}

/** A store, and what it gets. */
export interface Destination {
  store: "layout" | "registry" | "platform";
  /** What precedes `/<name>:<tag>` there; empty for this machine. */
  address: string;
  /** Images there include the layers of the base. */
  withBase: boolean;
  /** References of environment images of the plan. Of several, the app images get an index. */
  targets: string[];
}

/** Where an image goes. */
export interface PlanOptions {
  /** What the ImageSpec says that it is for. */
  platforms: readonly NpmTarget[] | undefined;
  /** What the platform runs; without one, this machine. */
  own: NpmTarget;
  /** Address of the registry that gets it. */
  registry?: string | undefined;
  /** Address of the platform that gets it; one that runs containers needs the base. */
  platform?: { address: string; needsBase: boolean } | undefined;
  /** Address in the names of an image that stays on this machine. */
  layout?: string | undefined;
}

/** Plans the image of resolved packages. Asks nobody and changes nothing. */
export function planImage(resolved: ResolvedEnvironment, options: PlanOptions): ImagePlan {
  const { own, registry, platform, layout } = options;
  const targets: EnvironmentPlan[] = [];
  const referenceOf = (target: NpmTarget) => {
    const known = targets.find((plan) => isSameTarget(plan.platform, target)) ?? planFor(resolved, target);
    if (!targets.includes(known)) targets.push(known);
    return known.reference;
  };
  const imageTargets = pushedTargets(options, own);
  const withBase = resolved.spec.baseImage !== undefined;
  const destinations: Destination[] = [];
  const add = (store: Destination["store"], address: string | undefined, base: boolean, at: readonly NpmTarget[]) => {
    if (address !== undefined) destinations.push({ store, address, withBase: base, targets: at.map(referenceOf) });
  };
  add("registry", registry, withBase, imageTargets);
  add("platform", platform?.address, platform?.needsBase === true, [own]);
  add("layout", layout, false, imageTargets);
  return { targets, destinations };
}
