/** Options of App. Generated from the tables of `src/contract/` by `npm run generate`: change them there. */
import type { FrameworkApp } from "./framework-app.ts";
import type { ImageSpec } from "./image-spec.ts";
import type {
  Duration,
  ImageSpecOptions,
  Input,
  Link,
  Permission,
  ResourcesOptions,
  ScalingMetric,
} from "./options.ts";
import type { Resources } from "./resources.ts";
import type { Secret } from "./secret.ts";

/** Options of an App, without the one that says what runs. */
export interface AppSettings<App> {
  /** Name of the app: lower-case letters, digits and `-`; starts with a letter; at most 30 characters. */
  name: string;
  /** Secrets that the app needs. A deploy checks that each exists before it builds anything. */
  secrets?: Secret[];
  /** Environment that the app runs in. Default: an image without extra packages. */
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
  /** Port inside a container. Default: 8080. Where apps are plain processes, `$PORT` is a free port of the machine. */
  port?: number;
  /** `true` (default): the platform's gateway asks for a platform key before the app sees a request. */
  requiresAuth?: boolean;
  /** Environment variables. */
  env?: Record<string, string>;
  /**
   * Files to ship with the app, as globs relative to the file that declares it. A folder means all of its content. A
   * wildcard takes no hidden file, and does not enter `node_modules` or `.git`. A glob that begins with `!` excludes
   * files. Links to folders, broken links and special files are left out; a glob can name a link to a folder.
   */
  include?: string[];
  /** Smallest number of replicas. Default: 0, so that an engine may scale an idle app to zero. */
  minReplicas?: number;
  /** Largest number of replicas. Default: 1. */
  maxReplicas?: number;
  /** How long an idle replica is kept. */
  scaledownAfter?: Duration;
  /** When to add replicas. */
  scalingMetric?: ScalingMetric;
  /** Values that are resolved at deploy time. */
  inputs?: Input[];
  /** Apps of the same file that are deployed before this one. */
  dependencies?: App[];
  /** Sub-domain of the app's address. Default: a random adjective-noun-hex, which the app keeps. */
  subdomain?: string;
  /** Domain of your own for the app's address. */
  customDomain?: string;
  /** Links that the console shows. */
  links?: Link[];
  /** What the app is, in a sentence, for `get apps` and the console. */
  description?: string;
  /** Free label for the kind of app, such as `"api"`. */
  type?: string;
  /** The longest time from a request to the first byte of its response. Default: 300 s. */
  requestTimeout?: Duration;
  /** The longest time from start to the first answer. Default: 120 s. */
  startTimeout?: Duration;
  /** Size of /dev/shm. */
  sharedMemory?: string;
  /** Accelerator to schedule on. */
  accelerator?: string;
  /** Cluster pool to schedule on. */
  clusterPool?: string;
}

/** What an App runs: exactly one of `frameworkApp`, `args` and `command`. */
export type AppProgram =
  | {
      /** The web app itself. Give exactly one of `frameworkApp`, `args` and `command`. */
      frameworkApp: FrameworkApp;
      args?: undefined;
      command?: undefined;
    }
  | {
      frameworkApp?: undefined;
      /** Program and arguments to run instead. The program listens on `$PORT`. `node` is the platform's Node. */
      args: string[];
      command?: undefined;
    }
  | {
      frameworkApp?: undefined;
      args?: undefined;
      /** Shell command line to run instead (`/bin/sh -c`). The program listens on `$PORT`. */
      command: string;
    };
