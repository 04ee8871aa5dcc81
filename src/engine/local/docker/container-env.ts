/** The environment of a container, as far as everybody may read it in `docker inspect`. */

/** What it is made of; later members win over earlier ones. */
export interface ContainerEnvParts {
  /** The platform's environment: only the language and the time zone are taken from it. */
  host: NodeJS.ProcessEnv;
  /** Where the app reaches the platform. */
  endpoint: string | undefined;
  /** Image, spec and platform variables. */
  revision: Readonly<Record<string, string>>;
  port: number;
  /** Address to listen on. */
  listen: string;
  /** Paths of secrets that are mounted as files. */
  files: Readonly<Record<string, string>>;
  /** A shell starts the program: the first process hands signals to everything below it. */
  signalsGroup: boolean;
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Where distroless images have Node. */
const DISTROLESS_NODE = "/nodejs/bin";
const FROM_HOST = ["LANG", "LC_ALL", "TZ"] as const;

/** Puts it together. */
export function containerEnv(parts: ContainerEnvParts): Record<string, string> {
  const fromHost = FROM_HOST.flatMap((name): [string, string][] => {
    const value = parts.host[name];
    return value ? [[name, value]] : [];
  });
  const { PATH = SYSTEM_PATH, ...revision } = parts.revision;
  return {
    HOME: "/tmp",
    TMPDIR: "/tmp",
    LANG: "C.UTF-8",
    ...Object.fromEntries(fromHost),
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
