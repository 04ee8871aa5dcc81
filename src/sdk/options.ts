/**
 * Options of the SDK's classes. Generated from the tables of `src/contract/` by `npm run generate`: change them there.
 * Nothing is checked here: constructors never throw, and `appctl deploy` reports every fault of a file together.
 */

/** A duration: seconds as a number, or text such as `"90s"`, `"10m"`, `"1h"`, `"500ms"`. */
export type Duration = number | string;

/** What an app may do besides computing, and reading and writing its own files. */
export type Permission = "addons" | "child-process" | "worker";

/** Options of an {@link ImageSpec}. */
export interface ImageSpecOptions {
  /** Name of the image: lower-case letters, digits and `-`, `_`, `.`, `/`. Default: `<app name>-image`. */
  name?: string;
  /**
   * What builds the image. `"default"`: appctl itself. `"remote"`: the platform, which fetches the packages itself.
   * `"docker"`: a container engine runs `commands` and `aptPackages` on the base image.
   */
  builder?: "default" | "remote" | "docker";
  /**
   * npm packages, with pins as npm writes them: `"hono@4.13.19"`. They stay outside the bundle, in a layer of their
   * own.
   */
  packages?: string[];
  /**
   * Lockfile to install from (package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock), as a path relative to the
   * file that declares the app. The packages layer then has exactly the locked packages that running the project
   * needs. The bundle has none of them. Cannot be combined with `packages`.
   */
  requirements?: string;
  /**
   * Name of the base image, such as `"node:22-slim"` or with a digest. It is put below the image in a registry and in
   * containers. `"scratch"` is none. Default: Debian with Node, `"node:24-slim"`.
   */
  baseImage?: string;
  /**
   * Version of Node in the default base image, such as `"24"` or `"24.11.1"`; 22.19 or newer. Apps that run as
   * processes get the platform's Node. Cannot be combined with `baseImage`. Default: `"24"`.
   */
  nodeVersion?: string;
  /** Registry and prefix that the image goes to, such as `"ghcr.io/my-org"`. Default: the platform itself. */
  registry?: string;
  /** Environment variables of every app that runs in the image. */
  env?: Record<string, string>;
  /**
   * Shell commands to run while building. They need `builder: "docker"`, a base image and an app that runs in
   * containers.
   */
  commands?: string[];
  /** Debian packages to install. They need `builder: "docker"`, a base image and an app that runs in containers. */
  aptPackages?: string[];
  /**
   * Targets of the image, such as `["linux/amd64", "linux/arm64"]`. A registry gets an image for each, without
   * emulation, and an index of them. The platform that runs it gets its own. Default: the target of the platform.
   */
  platform?: string | string[];
  /**
   * Files to copy into the environment image, as globs relative to the file that declares the app. The app finds them
   * at the same relative path. `.dockerignore` next to that file excludes files. A change of these files builds the
   * image again; for files that change often, use `include` of the App.
   */
  copy?: string[];
  /**
   * Program that gets the `args` of the App, such as `["node", "cli.js"]`: the entry point for container engines. The
   * process runtime puts it before `args`. Cannot be combined with `frameworkApp` or `command`.
   */
  entrypoint?: string[];
  /** Build even if the image exists, and ask the registry again for versions that are not pinned. */
  force?: boolean;
}

/** Options of a {@link Secret}. */
export interface SecretOptions {
  /** Name of the secret on the platform: letters, digits, `_`, `-`, `.`; at most 63 characters. */
  key: string;
  /**
   * Environment variable that carries the secret. Default: `key` with `_` for everything but letters and digits. With
   * `mount: "file"` the variable carries the path of the file. Its default then ends with `_FILE`.
   */
  envVar?: string;
  /**
   * `"env"` (default) puts the value into `envVar`. `"file"` writes the exact bytes to a file that only the app can
   * read.
   */
  mount?: "env" | "file";
}

/** Amounts in Kubernetes' notation. */
export interface ResourcesOptions {
  /** Cores, such as `"1"`, `"0.5"` or `"250m"`. */
  cpu?: string | number;
  /** Bytes of memory, such as `"512Mi"` or `"1Gi"`. */
  mem?: string | number;
  /** Bytes of the files that a replica writes. Default: 2Gi. */
  ephemeralStorage?: string | number;
}

/** A value for the app that is resolved at deploy time. */
export interface Input {
  /** Name of the input. */
  name: string;
  /** Value of the input. */
  value: string;
  /** Environment variable that carries the value. */
  envVar?: string;
}

/** A link that the console shows next to the app. */
export interface Link {
  /** Text of the link. */
  title: string;
  /** Path on the app's address, or a URL. */
  path: string;
}

/** When to add replicas. */
export interface ScalingMetric {
  /** What is counted. */
  type: "concurrency" | "request-rate";
  /** Requests at once, or a second, for each replica. */
  target: number;
}
