/** Where container engines listen. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { usageError } from "./errors.ts";
import { withoutCredentials } from "./without-credentials.ts";

/**
 * Sockets to try, in order: the one that `DOCKER_HOST` names, else Docker's and Podman's usual ones. Throws a usage error for
 * an engine on another machine: secrets and ports are handed over on this one.
 */
export function engineSockets(env: NodeJS.ProcessEnv): string[] {
  const named = env["DOCKER_HOST"];
  if (named) {
    if (named.startsWith("unix://")) return [named.slice("unix://".length)];
    const address = withoutCredentials(named);
    throw usageError(
      `DOCKER_HOST names ${address}, and the runtime "docker" works only with an engine of this machine`,
      {
        code: "ENGINE_ELSEWHERE",
        hint: "name a unix socket, such as unix:///var/run/docker.sock",
      },
    );
  }
  const own = env["XDG_RUNTIME_DIR"];
  return [
    "/var/run/docker.sock",
    ...(own ? [join(own, "docker.sock"), join(own, "podman", "podman.sock")] : []),
    "/run/podman/podman.sock",
  ];
}

/** The first of them that is there, and that this user may open. */
export function presentSocket(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return engineSockets(env).find(mayOpen);
  } catch {
    return undefined; // an engine elsewhere
  }
}

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What to do when none answered. `errors` are what was met at each. */
export function engineHint(errors: readonly unknown[]): string {
  return isClosed(errors)
    ? 'this user may not open the socket: join its group (sudo usermod -aG docker "$USER", then sign in anew), or start a rootless engine'
    : "start Docker, or Podman's service, or name its socket: DOCKER_HOST=unix:///path/to/docker.sock";
}

/** Whether an engine is there that this user may not ask. */
export function isClosed(errors: readonly unknown[]): boolean {
  return errors.some((error) => (error as NodeJS.ErrnoException | undefined)?.code === "EACCES");
}
