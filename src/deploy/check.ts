/** What would keep an app from being deployed: looked for before anything is built or changed. */
import type { Client, Scope } from "../client/client.ts";
import type { CheckResult } from "../contract/types.ts";
import { AppctlError, ExitCode } from "../core/errors.ts";
import type { Trace } from "../core/trace.ts";
import { refusePrograms, requireBase } from "../image/choose-base.ts";
import type { PreparedImage } from "../image/prepare-image.ts";
import { targetOf } from "../image/targets.ts";

/** What {@link checkAll} needs. */
export interface CheckOptions {
  file: string;
  scope: Scope;
  client: Client;
  /** Base for images that name none. */
  baseImage?: string | undefined;
  signal: AbortSignal;
  trace: Trace;
}

/** An app's image with what the platform says about the app. */
export interface CheckedImage extends CheckResult {
  image: PreparedImage;
}

/** Checks all apps. Throws INVALID_APP, NO_BASE_IMAGE, NEEDS_CONTAINERS or WRONG_PLATFORM for the first with a fault. */
export async function checkAll(images: readonly PreparedImage[], options: CheckOptions): Promise<CheckedImage[]> {
  const checks: CheckedImage[] = [];
  for (const image of images) checks.push({ ...(await check(image, options)), image });
  for (const { image, needsBase, platform } of checks) {
    if (needsBase) requireBase(image.app, options.baseImage);
    else refusePrograms(image.app);
    targetOf(platform, image, needsBase);
  }
  return checks;
}

async function check({ app: { spec } }: PreparedImage, options: CheckOptions): Promise<CheckResult> {
  const { client, scope, file, signal, trace } = options;
  const ask = () => client.checkApp({ ...scope, name: spec.name }, spec, signal);
  const result = await trace.time("ask the platform what is missing", ask);
  if (result.faults.length === 0) return result;
  throw new AppctlError({
    code: "INVALID_APP",
    exit: ExitCode.usage,
    message: `${spec.name} in ${file} cannot be deployed as it is`,
    faults: result.faults,
  });
}
