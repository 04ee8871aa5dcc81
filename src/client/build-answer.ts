/** Reads the answers of a platform that resolves packages or builds an image. */
import type { BuildEvent, ResolveEvent } from "../contract/types.ts";
import { AppctlError, ExitCode, isAppctlError, usageError } from "../core/errors.ts";
import type { BuildProgress } from "../core/events.ts";

/** Longest silence of such an answer, in milliseconds; a platform that is at work says so every 10 s. */
export const BUILD_SILENCE_MS = 60_000;

type Line = ResolveEvent | BuildEvent;
type Outcome<T extends Line> = Exclude<T, { type: "progress" | "failed" }>;

/**
 * The last line of an answer; the progress before it goes to `onProgress`. Throws what the platform says went wrong, and
 * BUILD_INTERRUPTED for an answer without a last line.
 */
export async function lastOf<T extends Line>(
  lines: AsyncIterable<T>,
  onProgress: (step: BuildProgress) => void,
  endpoint: string,
): Promise<Outcome<T>> {
  try {
    for await (const line of lines as AsyncIterable<Line>) {
      if (line.type === "progress") {
        const { type: _, ...step } = line;
        onProgress({ ...step, by: "platform" } as BuildProgress);
      } else if (line.type === "failed") {
        const { type: _, exit, ...failure } = line;
        throw new AppctlError({ ...failure, exit: exit as ExitCode } as ConstructorParameters<typeof AppctlError>[0]);
      } else return line as Outcome<T>;
    }
  } catch (error) {
    if (isAppctlError(error) && error.code === "NO_SUCH_ENDPOINT") throw noBuilder(endpoint, error);
    throw error;
  }
  throw new AppctlError({
    code: "BUILD_INTERRUPTED",
    exit: ExitCode.unavailable,
    message: `the answer of the platform at ${endpoint} ended before the image was complete`,
    hint: "deploy again: finished parts are not built again",
    next: ["appctl platform status"],
  });
}

function noBuilder(endpoint: string, cause: AppctlError): AppctlError {
  return usageError(`the platform at ${endpoint} is an older appctl that cannot build images`, {
    code: "NO_REMOTE_BUILDER",
    hint: 'update it, or remove builder: "remote" from the ImageSpec to build on this machine',
    next: ["appctl platform status"],
    cause,
  });
}
