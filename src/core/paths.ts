import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { usageError } from "./errors.ts";
import { homeOf } from "./home.ts";

/** Where appctl keeps things, after the XDG base directory specification. Absolute paths; none is created here. */
export interface Paths {
  /** User configuration file. */
  configFile: string;
  /** What can be made again: images, resolved locks. */
  cache: string;
  /** The local platform's state: database, images, logs, keys. 0700. */
  state: string;
  /** Short-lived sockets of the local platform; short, because a unix socket's path ends at 107 bytes. Nobody else can list it. */
  runtime: string;
  /**
   * What other users than the platform's have to reach: content of the apps that run as users of their own. Outside of every
   * home directory, so only root has one.
   */
  shared: string | undefined;
}

/** The {@link Paths} that `env` asks for. Throws HOME_UNKNOWN where a path needs a home folder and there is none. */
export function pathsOf(env: NodeJS.ProcessEnv): Paths {
  const home = homeOf(env);
  const folder = (variable: string, usual: string) => {
    const base = absolute(env[variable]) ?? (home && join(home, usual));
    if (base === undefined) {
      const hint = `set HOME or ${variable} to a folder that you can write`;
      throw usageError("HOME is not set, and this user has no home folder", { code: "HOME_UNKNOWN", hint });
    }
    return join(base, "appctl");
  };
  const state = folder("XDG_STATE_HOME", ".local/state");
  // By number: in a container a user need not have a name, and to ask for it would fail.
  const uid = process.getuid?.();
  const short = createHash("sha256").update(state).digest("hex").slice(0, 10);
  return {
    configFile: join(folder("XDG_CONFIG_HOME", ".config"), "config.yaml"),
    cache: folder("XDG_CACHE_HOME", ".cache"),
    state,
    runtime: join(tmpdir(), `appctl-${uid ?? "user"}-${short}`),
    shared: uid === 0 ? join("/var/lib/appctl", short) : undefined,
  };
}

/** The specification says that a relative path in an XDG variable is ignored. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith("/") ? value : undefined;
}
