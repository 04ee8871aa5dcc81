/** The environment of a replica: made from nothing, so that nothing of the platform's own gets into an app. */
import { delimiter, dirname, join } from "node:path";
import { localeOf, SYSTEM_PATH } from "../host-env.ts";

/** What a replica's environment is made of; later members win over earlier ones. */
export interface ReplicaEnvParts {
  /** The Node binary that the platform runs apps with. */
  node: string;
  contentDir: string;
  /** Directories of the replica's own. */
  home: string;
  tmp: string;
  /** The platform's environment: only the language and the time zone are taken from it. */
  host: NodeJS.ProcessEnv;
  /** Image, spec and platform variables. */
  revision: Readonly<Record<string, string>>;
  /** Where the app reaches the platform. */
  endpoint: string | undefined;
  port: number;
  /** Values of secrets, or paths of their files. */
  secrets: Record<string, string>;
  /** What the runtime itself says to the server shim. */
  internal: Record<string, string>;
}

/** Puts a replica's environment together. */
export function replicaEnv(parts: ReplicaEnvParts): Record<string, string> {
  return {
    // programs of the app's own packages are found by name, as in an npm script
    PATH: [join(parts.contentDir, "node_modules", ".bin"), dirname(parts.node), ...SYSTEM_PATH].join(delimiter),
    HOME: parts.home,
    TMPDIR: parts.tmp,
    ...localeOf(parts.host),
    ...parts.revision,
    ...(parts.endpoint === undefined ? {} : { APPCTL_ENDPOINT: parts.endpoint }),
    PORT: String(parts.port),
    HOST: "127.0.0.1",
    ...parts.secrets,
    ...parts.internal,
  };
}
