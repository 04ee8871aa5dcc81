import { createHash } from "node:crypto";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Where appctl keeps things, after the XDG base directory specification. Absolute paths; none is created here. */
export interface Paths {
  /** User configuration file. */
  configFile: string;
  /** What can be made again: images, resolved locks. */
  cache: string;
  /** The local platform's state: database, images, logs, keys. 0700. */
  state: string;
  /** Short-lived sockets of the local platform; short, because a unix socket's path ends at 107 bytes. 0700. */
  runtime: string;
}

/** The {@link Paths} that `env` asks for. */
export function pathsOf(env: NodeJS.ProcessEnv): Paths {
  const home = env["HOME"] || homedir();
  const state = join(absolute(env["XDG_STATE_HOME"]) ?? join(home, ".local", "state"), "appctl");
  const short = createHash("sha256").update(state).digest("hex").slice(0, 10);
  return {
    configFile: join(absolute(env["XDG_CONFIG_HOME"]) ?? join(home, ".config"), "appctl", "config.yaml"),
    cache: join(absolute(env["XDG_CACHE_HOME"]) ?? join(home, ".cache"), "appctl"),
    state,
    runtime: join(tmpdir(), `appctl-${userInfo().uid}-${short}`),
  };
}

/** The specification says that a relative path in an XDG variable is ignored. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith("/") ? value : undefined;
}
