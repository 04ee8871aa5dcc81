import type { DeployEvent } from "../core/events.ts";
import type { ColorMode, Io, OutputMode } from "./io.ts";
import type { Progress } from "./progress.ts";

/** What a wait ended with when it was not to last until the verdict (`--no-wait`). */
export interface Accepted {
  app: string;
  project: string;
  domain: string;
  deployment: number;
  endpoint: string;
  consoleUrl: string;
}

/** Draws the events of a deploy. */
export interface DeployRenderer {
  /** What is going on between the events; on stderr. */
  readonly progress: Progress;
  event(event: DeployEvent): void;
  /** The platform took the deploy over, and nobody waits for it. */
  accepted(deploy: Accepted): void;
  /** The verdict is there; prints what has to come last. Not called for a failure: the process edge prints that. */
  end(): void;
}

/** The {@link DeployRenderer} for an output mode. */
export async function deployRenderer(io: Io, output: OutputMode, color: ColorMode): Promise<DeployRenderer> {
  if (output === "text") return (await import("./text-renderer.ts")).createTextRenderer(io, color);
  const { createJsonRenderer, createNdjsonRenderer, createUrlRenderer } = await import("./data-renderers.ts");
  if (output === "json") return createJsonRenderer(io, color);
  if (output === "ndjson") return createNdjsonRenderer(io, color);
  return createUrlRenderer(io, color);
}
