/** Where container engines listen. */
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { usageError } from "../core/errors.ts";
import { withoutCredentials } from "../core/without-credentials.ts";

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
      `DOCKER_HOST names ${address}, but the runtime "docker" needs a container engine on this machine`,
      {
        code: "ENGINE_ELSEWHERE",
        hint: "name a unix socket, such as unix:///var/run/docker.sock",
      },
    );
  }
  const userDir = env["XDG_RUNTIME_DIR"];
  return [
    "/var/run/docker.sock",
    ...(userDir ? [join(userDir, "docker.sock"), join(userDir, "podman", "podman.sock")] : []),
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

/** A socket that was tried, and what was met there. */
export interface TriedSocket {
  socketPath: string;
  error: unknown;
}

/** What to do when none answered. */
export function engineHint(tried: readonly TriedSocket[]): string {
  const closed = closedSocket(tried);
  if (closed === undefined)
    return "start Docker, or Podman's service, or name its socket: DOCKER_HOST=unix:///path/to/docker.sock";
  const alternative = "or start an engine of your own (rootless Docker, or systemctl --user start podman.socket)";
  return closed.endsWith("docker.sock")
    ? `this user may not open ${closed}: join its group (sudo usermod -aG docker "$USER", then sign in again), ${alternative}`
    : `this user may not open ${closed}: ask its owner, ${alternative}`;
}

/** The first socket that is there, and that this user may not open. One in a closed directory may as well not be there. */
export function closedSocket(tried: readonly TriedSocket[]): string | undefined {
  return tried.find(
    ({ socketPath, error }) =>
      (error as NodeJS.ErrnoException | undefined)?.code === "EACCES" && existsSync(socketPath),
  )?.socketPath;
}
