/** Gives an image's packages their versions and builds its environment image on this machine. */
import { buildEnvironment, type EnvironmentContext, resolveEnvironment } from "../environment-image.ts";
import type { EnvironmentBuilder } from "./environment-builder.ts";

/** The builder on this machine. `force`: ask the registry again, and build what is there already. */
export function localBuilder(context: EnvironmentContext, force: boolean | undefined): EnvironmentBuilder {
  return {
    resolve: (spec) => resolveEnvironment(spec, { ...context, refresh: force }),
    build: async (plan, { layout }) => ({
      plan,
      environment: await buildEnvironment(plan, layout, { ...context, force }),
    }),
  };
}
