/** The file that a deploy or a build starts from. */
import type { EarlyLoad } from "../app/early-load.ts";
import { loadApps } from "../app/load.ts";
import type { LoadedFile } from "../app/loaded-file.ts";
import { missingPackagesOf } from "../app/missing-packages.ts";
import { builtFile } from "../core/package-files.ts";
import type { Trace } from "../core/trace.ts";
import { installedPackages } from "../image/prepare-image.ts";

/** What {@link loadFile} needs. */
export interface LoadFileOptions {
  file: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  cacheDir: string;
  /** Let npm packages run their install scripts. */
  allowScripts?: boolean | undefined;
  /** What has begun already, probably for the same file. Used up. */
  early?: EarlyLoad | undefined;
  signal: AbortSignal;
  trace: Trace;
}

/** Bundles and describes the file. Packages of an ImageSpec that the project has not installed come from their own layer. */
export async function loadFile(options: LoadFileOptions): Promise<LoadedFile> {
  const { file, cwd, env, early, signal, trace } = options;
  const files = { sdkFile: builtFile("sdk/index.js"), workerFile: builtFile("describe-worker.js") };
  try {
    return await loadApps({ file, cwd, env, early, signal, trace, ...files });
  } catch (error) {
    const missing = missingPackagesOf(error);
    if (!missing) throw error;
    const install = () => installedPackages(missing.packages, file, options);
    const packageDirs = await trace.time("install packages that the file needs to run", install);
    return await loadApps({ file, cwd, env, signal, trace, packageDirs, ...files });
  }
}
