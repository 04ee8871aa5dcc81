import type { DeployRenderer } from "./deploy-renderer.ts";
import type { ColorMode, Io, OutputMode } from "./io.ts";

/** The {@link DeployRenderer} for an output mode. */
export async function deployRenderer(io: Io, output: OutputMode, color: ColorMode): Promise<DeployRenderer> {
  if (output === "text") return (await import("./text-renderer.ts")).createTextRenderer(io, color);
  const { createJsonRenderer, createNdjsonRenderer, createUrlRenderer } = await import("./data-renderers.ts");
  if (output === "json") return createJsonRenderer(io, color);
  if (output === "ndjson") return createNdjsonRenderer(io, color);
  return createUrlRenderer(io, color);
}
