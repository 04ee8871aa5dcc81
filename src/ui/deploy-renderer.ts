import type { DeployEvent } from "../core/events.ts";
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
