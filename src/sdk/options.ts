/**
 * What a user's file may say: the option types of every SDK class. They are plain data; nothing is checked here, because
 * constructors never throw: `appctl deploy` collects every fault of a file and reports them together.
 */

/** Anything that can answer HTTP: an object with `fetch(request)`, a `(req, res)` listener, or a Fastify instance. */
export type FrameworkApp =
  | { fetch: (request: Request, ...rest: never[]) => Response | Promise<Response> }
  // biome-ignore lint/suspicious/noExplicitAny: a listener of any framework's own request and response types
  | ((req: any, res: any, ...rest: any[]) => unknown)
  // biome-ignore lint/suspicious/noExplicitAny: a Fastify instance, whatever its type parameters
  | { ready: (...args: any[]) => any; routing: (req: any, res: any) => void };

/** A duration: seconds as a number, or text such as `"90s"`, `"10m"`, `"1h"`, `"500ms"`. */
export type Duration = number | string;

/** Options of a {@link Secret}. */
export interface SecretOptions {
  /** The secret's name on the platform: letters, digits, `_`, `-`, `.`; at most 63 characters. */
  key: string;
  /**
   * The environment variable that carries it. Default: `key` with everything but letters and digits turned into `_`.
   * With `mount: "file"` the variable carries the file's path instead (default: the same with `_FILE` at its end).
   */
  envVar?: string;
  /** `"env"` (default) puts the value into `envVar`; `"file"` writes the exact bytes to a file only the app can read. */
  mount?: "env" | "file";
}

/** Amounts in Kubernetes' notation: cpu `"1"`, `"250m"`; mem and ephemeralStorage `"512Mi"`, `"1Gi"`. */
export interface ResourcesOptions {
  cpu?: string | number;
  mem?: string | number;
  /** What the files that a replica writes may take. Default 2Gi. */
  ephemeralStorage?: string | number;
}

/** What an app may do besides computing, and reading and writing its own files. */
export type Permission = "addons" | "child-process" | "worker";

/** Options of an {@link ImageSpec}. */
export interface ImageSpecOptions {
  /** Name of the image: lower-case letters, digits and `-`, `_`, `.`, `/`. Default: `<app name>-image`. */
  name?: string;
  /**
   * What builds it. Default `"default"`: appctl itself. `"remote"`: the platform, which fetches the packages itself.
   * `"docker"`: a container engine runs `commands` and `aptPackages` on the base.
   */
  builder?: "default" | "remote" | "docker";
  /** npm packages, with pins as npm writes them: `"hono@4.13.19"`. They stay outside the bundle, in a layer of their own. */
  packages?: string[];
  /**
   * A lock file to install from (package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock), as a path relative to the file
   * that declares the app: the packages layer then has exactly what is locked for running the project beside it, and the
   * bundle nothing of it. Instead of `packages`.
   */
  requirements?: string;
  /**
   * Name of the base image, such as `"node:22-slim"` or with a digest: it is put below the image where that is pushed to a
   * registry or runs in containers. `"scratch"` is none. Default: Debian with Node, `"node:24-slim"`.
   */
  baseImage?: string;
  /**
   * Version of Node in the default base image, such as `"24"` or `"24.11.1"`; 22.19 or newer. Apps that run as processes get
   * the platform's Node. Not beside `baseImage`. Default: `"24"`.
   */
  nodeVersion?: string;
  /** Registry and prefix that the image goes to, such as `"ghcr.io/my-org"`. Default: the platform itself. */
  registry?: string;
  /** Environment of every app that runs in the image. */
  env?: Record<string, string>;
  /** Shell commands to run while building. They need `builder: "docker"`, a base image and an app that runs in containers. */
  commands?: string[];
  /** Debian packages to install. They need `builder: "docker"`, a base image and an app that runs in containers. */
  aptPackages?: string[];
  /**
   * Platforms that the image is for, such as `["linux/amd64", "linux/arm64"]`: a registry gets an image for each, without
   * emulation, and an index over them. The platform that runs it gets its own. Default: what that runs.
   */
  platform?: string | string[];
  /**
   * Files to copy into the environment image, as globs relative to the file that declares the app; they lie beside the app
   * when it runs. What `.dockerignore` beside that file leaves out is left out. They are for what seldom changes, since the
   * image is built again when they do; `include` of the App is for the rest.
   */
  copy?: string[];
  /**
   * What the `args` of the App are handed to, such as `["node", "cli.js"]`: the image's entry point for container engines,
   * put before `args` by the process runtime. Not beside `frameworkApp` or `command`.
   */
  entrypoint?: string[];
  /** Build even when the image exists, and ask the registry again for versions that are not pinned. */
  force?: boolean;
}

/** A value for the app that is resolved at deploy time. */
export interface Input {
  name: string;
  value: string;
  envVar?: string;
}

/** A link that the console shows beside the app. */
export interface Link {
  title: string;
  path: string;
}

/** When to add replicas. */
export type ScalingMetric = { type: "concurrency"; target: number } | { type: "request-rate"; target: number };
