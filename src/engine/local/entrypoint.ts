/** An app's `args` are what its image's entry point is handed. */
import type { AppSpec } from "../../contract/types.ts";
import type { Content } from "./runtime.ts";

/** The spec with the whole command line in `args`: the entry point first. Other kinds of apps say themselves how they start. */
export function withEntrypoint<Spec extends Pick<AppSpec, "kind" | "args">>(
  spec: Spec,
  { entrypoint = [] }: Pick<Content, "entrypoint">,
): Spec {
  return spec.kind === "args" ? { ...spec, args: [...entrypoint, ...(spec.args ?? [])] } : spec;
}
