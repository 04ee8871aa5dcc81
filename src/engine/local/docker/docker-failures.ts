/** What can keep a container from starting, in words. */
import { EngineApiError, isConnectionLost } from "../../../container-engine/docker-api.ts";
import { closedSocket, engineHint, type TriedSocket } from "../../../container-engine/socket.ts";
import type { AppSpec, FailureCause } from "../../../contract/types.ts";
import { AppctlError, ExitCode, messageOf } from "../../../core/errors.ts";
import { engineError, explainFailure } from "../../causes.ts";

/** An image without a base layer. */
export function noBaseImage(): FailureCause {
  return {
    code: "NO_BASE_IMAGE",
    message: "its image has no base, so there is no Node in it that a container could run",
    hint: 'name a base image that has Node: new ImageSpec({ …, baseImage: "node:24-slim" })',
  };
}

/** The engine did not take the image. */
export function imageNotLoaded(digest: string, error: unknown): FailureCause {
  if (isConnectionLost(error)) return engineUnreachable(error);
  const message = messageOf(error);
  return {
    code: "IMAGE_NOT_LOADED",
    message: `the container engine could not load the image ${digest}: ${message}`,
    hint: /no space left/i.test(message)
      ? "the engine's disk is full: make room, for example with docker system prune"
      : "deploy again: what is missing or damaged is uploaded anew",
  };
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
    return {
      code: "LIMIT_REFUSED",
      message: `the container engine refuses the limits: ${message}`,
      hint: "raise limits.mem",
    };
  }
  return engineError(error);
}

/** Nobody answers where the engine was. */
export function engineUnreachable(error: unknown): FailureCause {
  return {
    code: "RUNTIME_UNAVAILABLE",
    message: `the container engine does not answer: ${messageOf(error)}`,
    hint: "start it; the platform then tries again by itself what served before",
  };
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
