import type { BuildProgress } from "../core/events.ts";
import type { NpmProject } from "./npm-project.ts";
import type { NpmTarget } from "./npm-target.ts";

/** What resolving and installing packages need to know of the world. */
export interface PackageContext {
  /** Folder of the user's app file: its `.npmrc` and lock file apply. */
  appDir: string;
  /** What of the user's npm project applies, when it is not to be looked for from `appDir` on. */
  project?: NpmProject | undefined;
  /** Folder for resolved locks and for work. */
  cacheDir: string;
  /** Environment of the run; npm gets it without what `npm run` put there. */
  env: NodeJS.ProcessEnv;
  /** What relative paths in `env` refer to. */
  cwd: string;
  signal: AbortSignal;
  platform: NpmTarget;
  /** Let packages run their install scripts. Default: none runs, and a warning names those that have some. */
  allowScripts?: boolean | undefined;
  /** Said of install scripts that are not run. Default: the flag that runs them. */
  aboutScripts?: string | undefined;
  onProgress?: ((progress: BuildProgress) => void) | undefined;
}
