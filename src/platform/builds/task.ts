/** What the platform is asked to do for images, and the lines that it answers with. */
import type { BuildEvent, BuildRequest, ResolveEvent, ResolveRequest } from "../../contract/types.ts";
import { ExitCode } from "../../core/errors.ts";

/** A request of a client, checked. */
export type BuildTask = { type: "resolve"; request: ResolveRequest } | { type: "build"; request: BuildRequest };

/** Any line of an answer. */
export type TaskEvent = ResolveEvent | BuildEvent;
/** One that is the last of its answer. */
export type FinalEvent = Exclude<TaskEvent, { type: "progress" }>;
/** The last line of one that failed. */
export type Failure = Extract<TaskEvent, { type: "failed" }>;

/** The failure of a task that ended without a word of its own. */
export function brokenOff(message: string, exit: ExitCode = ExitCode.unavailable): Failure {
  const [code, hint] =
    exit === ExitCode.bug
      ? ["INTERNAL", "the log of the platform has the reason"]
      : ["BUILD_INTERRUPTED", "deploy again: finished parts are not built again"];
  return { type: "failed", code, message, exit, hint, next: ["appctl platform logs"], details: [], faults: [] };
}
