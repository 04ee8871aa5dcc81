import { Client, type Scope } from "../../client/client.ts";
import {
  ensureLocalPlatform,
  type LocalPlatform,
  renewLocalPlatform,
  servesOthers,
  upgradeLocalPlatform,
} from "../../client/local-platform.ts";
import { commandLine, TARGET_FLAGS, type Target, withLauncher, withTarget } from "../../core/command-line.ts";
import { type Config, noKeyError, resolveConfig } from "../../core/config.ts";
import { isLoopbackHost } from "../../core/loopback.ts";
import { version } from "../../core/package-files.ts";
import { pathsOf } from "../../core/paths.ts";
import { readPlatformFile } from "../../core/platform-file.ts";
import type { Redacted } from "../../core/redacted.ts";
import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "./global-flags.ts";
import { withMissingPlace } from "./new-place.ts";

/** A command's connection to its platform. */
export interface Session {
  config: Config;
  client: Client;
  scope: Scope;
  /** A command to type next, with the flags that say where this one went. */
  next(words: string[]): string;
}

/**
 * Runs `use` with a client of the platform that flags, environment and files name: with an API key the key's platform, else
 * the local one, which is started when it does not run. A local platform that dies meanwhile is started again.
 */
export async function withSession<T>(io: Io, flags: CommonFlags, use: (session: Session) => Promise<T>): Promise<T> {
  const config = await resolveConfig(flags, io.env, io.cwd);
  const client = config.apiKey ? keyClient(io, config, config.apiKey) : await localClient(io, config);
  const scope = { project: config.project, domain: config.domain };
  try {
    return await use({
      config,
      client,
      scope,
      next: (words) => withLauncher(withTarget(commandLine(words, scope), targetOf(flags)), io.launcher),
    });
  } catch (error) {
    throw await withMissingPlace(error, client, scope);
  } finally {
    await client.close();
  }
}

function targetOf(flags: CommonFlags): Target {
  return TARGET_FLAGS.flatMap((flag) => {
    const value = flags[flag.slice(2) as "project" | "domain" | "config" | "endpoint" | "port"];
    return value === undefined ? [] : [[flag, String(value)] as const];
  });
}

/** A client with a key. When the key is of this user's own local platform, that one is brought back when it is away. */
function keyClient(io: Io, config: Config, apiKey: Redacted<string>): Client {
  const endpoint = config.endpoint as string; // a key carries one
  const isOwn = readPlatformFile(pathsOf(io.env).state)?.url === endpoint;
  return new Client({
    endpoint,
    apiKey,
    onUnreachable: isOwn
      ? async () => {
          const platform = await ensureLocalPlatform(io.env, portOf(endpoint));
          saySo(io, platform);
          return { endpoint: platform.endpoint, apiKey };
        }
      : undefined,
  });
}

async function localClient(io: Io, config: Config): Promise<Client> {
  const { endpoint } = config;
  if (endpoint !== undefined && !isLoopback(endpoint)) throw noKeyError(endpoint);
  const port = endpoint === undefined ? config.port : portOf(endpoint);
  const found = await ensureLocalPlatform(io.env, port);
  saySo(io, found);
  const platform = await ofThisVersion(io, found);
  const running = portOf(platform.endpoint);
  if (running !== port) {
    // Another program, or a platform of other state: this user's admin key is not for it.
    if (endpoint !== undefined) throw noKeyError(endpoint);
    if (config.port !== running) {
      io.stderr.write(`The local platform runs on port ${running}; port ${port} is not used.\n`);
    }
  }
  return new Client({
    endpoint: platform.endpoint,
    apiKey: platform.apiKey,
    onUnreachable: async () => {
      const again = await ensureLocalPlatform(io.env, running);
      saySo(io, again, "again ");
      return { endpoint: again.endpoint, apiKey: again.apiKey };
    },
  });
}

/** The local platform, restarted when it is of an older appctl than this and that can be done; else a word about it. */
async function ofThisVersion(io: Io, platform: LocalPlatform): Promise<LocalPlatform> {
  const [theirs, ours] = [platform.file.version, version()];
  if (theirs === ours) return platform;
  const { compareVersions } = await import("../../core/versions.ts");
  const order = compareVersions(theirs, ours);
  if (order > 0) {
    io.stderr.write(
      `The local platform is appctl ${theirs}, newer than this one (${ours}). To update: npm install appctl@${theirs}\n`,
    );
  }
  if (order >= 0) return platform;
  const isServer = servesOthers(platform.file);
  const upgraded = isServer ? undefined : await upgradeLocalPlatform(io.env, platform, io.signal);
  if (upgraded) {
    io.stderr.write(`Updated the local platform from appctl ${theirs} to ${ours}. Its apps go on.\n`);
    return upgraded;
  }
  const renewed = await renewLocalPlatform(io.env, platform, io.signal);
  io.stderr.write(
    renewed
      ? `Restarted the local platform: it was appctl ${theirs}, this is ${ours}. Its apps start again.\n`
      : withLauncher(
          `The local platform is appctl ${theirs}, this is ${ours}. To update it: appctl platform upgrade\n`,
          io.launcher,
        ),
  );
  return renewed ?? platform;
}

function saySo(io: Io, platform: LocalPlatform, again = ""): void {
  if (!platform.started) return;
  const { state } = pathsOf(io.env);
  io.stderr.write(`Started the local platform ${again}at ${platform.file.url} (state in ${tilde(state, io.env)})\n`);
}

/** `path` with `~` for the home directory. */
export function tilde(path: string, env: NodeJS.ProcessEnv): string {
  const home = env["HOME"];
  return home && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** True for an address of this machine. */
export function isLoopback(endpoint: string): boolean {
  return isLoopbackHost(new URL(endpoint).hostname);
}

function portOf(endpoint: string): number {
  const { port, protocol } = new URL(endpoint);
  return port ? Number(port) : protocol === "https:" ? 443 : 80;
}
