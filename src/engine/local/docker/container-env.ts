/** The environment of a container, as far as everybody may read it in `docker inspect`. */
import { localeOf, SYSTEM_PATH } from "../host-env.ts";

/** What it is made of; later members win over earlier ones. */
export interface ContainerEnvParts {
  /** The platform's environment: only the language and the time zone are taken from it. */
  host: NodeJS.ProcessEnv;
  /** Image, spec and platform variables. */
  revision: Readonly<Record<string, string>>;
  /** Where the app reaches the platform; it can be another address than the revision's for the same place. */
  endpoint: string | undefined;
  port: number;
  /** Address to listen on. */
  listen: string;
  /** Paths of secrets that are mounted as files. */
  files: Readonly<Record<string, string>>;
  /** A shell starts the program: the first process hands signals to everything below it. */
  signalsGroup: boolean;
}

/** Where distroless images have Node. */
const DISTROLESS_NODE = "/nodejs/bin";

/** Puts it together. */
export function containerEnv(parts: ContainerEnvParts): Record<string, string> {
  const { PATH = SYSTEM_PATH.join(":"), ...revision } = parts.revision;
  return {
    HOME: "/tmp",
    TMPDIR: "/tmp",
    ...localeOf(parts.host),
    ...(parts.signalsGroup ? { TINI_KILL_PROCESS_GROUP: "1" } : {}),
    ...revision,
    ...(parts.endpoint === undefined ? {} : { APPCTL_ENDPOINT: parts.endpoint }),
    // programs of the app's own packages are found by name, as in an npm script
    PATH: ["/app/node_modules/.bin", PATH, DISTROLESS_NODE].join(":"),
    PORT: String(parts.port),
    HOST: parts.listen,
    ...parts.files,
  };
}
