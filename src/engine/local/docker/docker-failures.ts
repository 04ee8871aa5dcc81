/** What can keep a container from starting, in words. */
import { EngineApiError, isConnectionLost } from "../../../container-engine/docker-api.ts";
import { closedSocket, engineHint, type TriedSocket } from "../../../container-engine/socket.ts";
import type { AppSpec, FailureCause } from "../../../contract/types.ts";
import { AppctlError, ExitCode, messageOf } from "../../../core/errors.ts";
import { causeOf, engineError } from "../../causes.ts";
import { explainFailure } from "../../explain-failure.ts";

/** The engine did not take the image. */
export function imageNotLoaded(digest: string, error: unknown): FailureCause {
  if (isConnectionLost(error)) return engineUnreachable(error);
  const message = messageOf(error);
  return causeOf(/no space left/i.test(message) ? "imageDiskFull" : "imageNotLoaded", { digest, error: message });
}

/** The engine refused to make or to start the container. */
export function notStarted(spec: AppSpec, error: unknown): FailureCause {
  if (isConnectionLost(error)) return engineUnreachable(error);
  const message = messageOf(error);
  // In the words of runc and of crun.
  const missing = /executable file (?:`[^`]*` )?not found|\bexec:? .*no such file or directory/i.test(message);
  if (error instanceof EngineApiError && missing) {
    const program = /\b(?:exec:|executable file) ["`]([^"`]+)/.exec(message)?.[1];
    return explainFailure({
      spec,
      wasReady: false,
      spawnError: "ENOENT",
      ...(program === undefined ? {} : { missing: program }),
      output: [],
      roots: [],
    });
  }
  if (error instanceof EngineApiError && /permission denied/i.test(message) && /exec/i.test(message)) {
    return explainFailure({ spec, wasReady: false, spawnError: "EACCES", output: [], roots: [] });
  }
  if (/minimum memory limit|memory limit/i.test(message)) {
    return causeOf("limitRefused", { error: message });
  }
  return engineError(error);
}

/** Nobody answers where the engine was. */
export function engineUnreachable(error: unknown): FailureCause {
  return causeOf("runtimeUnavailable", { error: messageOf(error) });
}

/** The error for a platform that is to run on an engine that nobody finds. `tried` are socket paths with what was met there. */
export function noEngine(tried: readonly TriedSocket[]): AppctlError {
  return new AppctlError({
    code: "RUNTIME_UNAVAILABLE",
    exit: ExitCode.unavailable,
    message: `the runtime "docker" needs a container engine, and none answers: ${tried
      .map(({ socketPath, error }) => `${socketPath} (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`)
      .join(", ")}`,
    hint: engineHint(tried),
    next: [...(closedSocket(tried) ? [] : ["systemctl start docker"]), "appctl platform start --runtime process"],
  });
}
