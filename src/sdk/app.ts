import { brand } from "./brand.ts";
import type { ImageSpec } from "./image-spec.ts";
import type {
  Duration,
  FrameworkApp,
  ImageSpecOptions,
  Input,
  Link,
  Permission,
  ResourcesOptions,
  ScalingMetric,
} from "./options.ts";
import type { Resources } from "./resources.ts";
import type { Secret } from "./secret.ts";

/** Options of an {@link App}. Only `name` and one of `frameworkApp`, `args`, `command` are needed. */
export interface AppOptions {
  /** Name of the app: lower-case letters, digits and `-`; starts with a letter; at most 30 characters. */
  name: string;
  /** The web app itself. Exactly one of `frameworkApp`, `args` or `command` is given. */
  frameworkApp?: FrameworkApp;
  /** Program and arguments to run instead; it listens on `$PORT`. `node` is the platform's Node. */
  args?: string[];
  /** A shell command line to run instead (`/bin/sh -c`); it listens on `$PORT`. */
  command?: string;
  /** Secrets that the app needs. A deploy sees to it that each exists before anything is built. */
  secrets?: Secret[];
  /** The environment that the app runs in. Default: an image without extra packages. */
  containerImage?: ImageSpec | ImageSpecOptions;
  /** The most that one replica may use. */
  limits?: Resources | ResourcesOptions;
  /** What one replica is guaranteed. */
  requests?: Resources | ResourcesOptions;
  /**
   * What a `frameworkApp` may do where apps are plain processes: start programs (`"child-process"`), start threads
   * (`"worker"`), load native code (`"addons"`). Default: what the bundled code imports.
   */
  permissions?: Permission[];
  /** Port inside a container. Default 8080. Where apps are plain processes, `$PORT` is a free port of the machine. */
  port?: number;
  /** `true` (default): the platform's gateway asks for a platform key before the app sees a request. */
  requiresAuth?: boolean;
  /** Environment variables. */
  env?: Record<string, string>;
  /**
   * Files to ship with the app, as globs relative to the file that declares it. A folder stands for all that is in it; a wildcard
   * takes no hidden file, and enters neither `node_modules` nor `.git`; a glob that begins with `!` takes files out again. Links
   * to folders, links that lead nowhere and what is neither file nor folder are passed over, unless a glob names the link to a
   * folder itself.
   */
  include?: string[];
  /** Smallest number of replicas. Default 0: an idle app may be scaled to zero by engines that do so. */
  minReplicas?: number;
  /** Largest number of replicas. Default 1. */
  maxReplicas?: number;
  /** How long an idle replica is kept. */
  scaledownAfter?: Duration;
  /** When to add replicas. */
  scalingMetric?: ScalingMetric;
  /** Values that are resolved at deploy time. */
  inputs?: Input[];
  /** Apps of the same file that are deployed before this one. */
  dependencies?: App[];
  /** Sub-domain to answer on. Default: drawn once (adjective-noun-hex) and kept. */
  subdomain?: string;
  /** A domain of your own to answer on. */
  customDomain?: string;
  /** Links that the console shows. */
  links?: Link[];
  /** What the app is, in a sentence, for `get apps` and the console. */
  description?: string;
  /** Free label for the kind of app, for example `"api"`. */
  type?: string;
  /** The longest time from a request to the first byte of its response. Default 300 s. */
  requestTimeout?: Duration;
  /** The longest time from start to the first answer. Default 120 s. */
  startTimeout?: Duration;
  /** Size of /dev/shm. */
  sharedMemory?: string;
  /** Accelerator to schedule on. */
  accelerator?: string;
  /** Cluster pool to schedule on. */
  clusterPool?: string;
}

/** A web app that `appctl deploy apps FILE NAME` can deploy. Export it from the file; `NAME` is its `name`. */
export class App {
  readonly name: string;
  readonly options: Readonly<AppOptions>;

  constructor(options: AppOptions) {
    brand(this, "App");
    this.name = options?.name;
    this.options = options ?? ({} as AppOptions);
  }
}
