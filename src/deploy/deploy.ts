/**
 * The deploy pipeline, top to bottom: load → check → secrets → image → upload → apply → follow. It yields what happens and
 * knows no terminal and no process; it talks to the platform through the client alone.
 */
import { randomUUID } from "node:crypto";
import { join, relative } from "node:path";
import type { EarlyLoad } from "../app/early-load.ts";
import { loadApps } from "../app/load.ts";
import type { LoadedFile } from "../app/loaded-file.ts";
import { missingPackagesOf } from "../app/missing-packages.ts";
import { deployOrder } from "../app/select.ts";
import type { LoadedApp } from "../app/validate.ts";
import type { Client, Scope } from "../client/client.ts";
import type { AppRef, CheckResult, DeploymentEvent, FailureCause } from "../contract/types.ts";
import { builtFile } from "../core/assets.ts";
import { AppctlError, ExitCode, isAppctlError, messageOf } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import type { Redacted } from "../core/redacted.ts";
import type { Trace } from "../core/trace.ts";
import { refusePrograms, requireBase } from "../image/choose-base.ts";
import { syncCache } from "../image/image-cache.ts";
import { makeImage } from "../image/make-image.ts";
import type { RegistryChoice } from "../image/push-all.ts";
import { installedPackages, type StartedImage, startImage } from "../image/start-image.ts";
import { platformOf } from "../image/targets.ts";

export { buildImage, isBuiltByPlatform } from "../image/build-image.ts";
export { syncCache } from "../image/image-cache.ts";

/** A secret that the app asks for and that does not exist yet. */
export interface MissingSecret {
  key: string;
  mount: "env" | "file";
}

/** What loading a file needs. */
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

/** What a deploy needs. */
export interface DeployOptions extends LoadFileOptions {
  /** What {@link loadFile} gives: it is started before there is a client, since neither needs the other. */
  loaded: Promise<LoadedFile>;
  /** Name of the App; may be left out when the file has one. */
  name: string | undefined;
  scope: Scope;
  client: Client;
  pushTo: RegistryChoice;
  /** Base for images that name none. */
  baseImage?: string | undefined;
  /** Gives the values of missing secrets, or throws what to type. Nothing has been built or changed then. */
  provideSecrets(missing: MissingSecret[], app: string): Promise<Map<string, Redacted<Uint8Array>>>;
  /** False: return when the platform has accepted the deploy. */
  wait: boolean;
  /** Called when there is nothing to do but wait for the platform. */
  idle(): void;
}

/** Deploys an app of a file, its dependencies first. Throws an {@link AppctlError} for whatever stops it. */
export async function* deploy(options: DeployOptions): AsyncGenerator<DeployEvent> {
  const loaded = await options.loaded;
  try {
    yield* deployLoaded(loaded, options);
  } finally {
    await loaded.tidied;
  }
}

async function* deployLoaded(loaded: LoadedFile, options: DeployOptions): AsyncGenerator<DeployEvent> {
  for (const message of loaded.bundle.warnings) yield { type: "warning", message };
  const apps = deployOrder(loaded, options.name);
  const early = new AbortController();
  const signal = AbortSignal.any([options.signal, early.signal]);
  const images = new Map<LoadedApp, StartedImage>();
  try {
    for (const app of apps) images.set(app, startImage(app, loaded, { ...options, signal }));
    yield* deployAll(apps, images, loaded, options);
  } finally {
    // What a fault has left without use ends here, and not with the process: npm has processes of its own.
    early.abort(new Error("the deploy has ended"));
    await Promise.allSettled([...images.values()].flatMap(({ resolved, layer }) => [resolved, layer]));
  }
}

async function* deployAll(
  apps: LoadedApp[],
  images: Map<LoadedApp, StartedImage>,
  loaded: LoadedFile,
  options: DeployOptions,
): AsyncGenerator<DeployEvent> {
  // Everything that can be wrong is looked for in all of them before anything is built or changed.
  const checks = new Map<LoadedApp, CheckResult>();
  for (const app of apps) checks.set(app, await check(app, options));
  for (const [app, { needsBase, platform }] of checks) {
    if (needsBase) requireBase(app, options.baseImage);
    else refusePrograms(app);
    platformOf(platform, images.get(app) as StartedImage, needsBase);
  }
  for (const [app, { warnings, missingSecrets }] of checks) {
    for (const message of warnings) yield { type: "warning", message };
    await createMissing(missingSecrets, app, options);
  }
  for (const [app, { registry, needsBase, platform }] of checks) {
    const image = images.get(app) as StartedImage;
    yield* deployOne(app, { root: loaded.bundle.root, image, registry, needsBase, platform }, options);
  }
}

/** Loads the file. Packages of an ImageSpec that are not installed beside it come from their own layer. */
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

/** Asks the platform what stands in the way; faults end the deploy here. */
async function check(app: LoadedApp, options: DeployOptions): Promise<CheckResult> {
  const { client, scope, file, signal, trace } = options;
  const ask = () => client.checkApp({ ...scope, name: app.spec.name }, app.spec, signal);
  const result = await trace.time("ask the platform what stands in the way", ask);
  if (result.faults.length === 0) return result;
  throw new AppctlError({
    code: "INVALID_APP",
    exit: ExitCode.usage,
    message: `${app.spec.name} in ${file} cannot be deployed as it is`,
    faults: result.faults,
  });
}

/** What {@link deployOne} goes on with. */
interface Started extends Pick<CheckResult, "registry" | "needsBase" | "platform"> {
  root: string;
  image: StartedImage;
}

async function* deployOne(
  app: LoadedApp,
  { root, image: started, registry, needsBase, platform }: Started,
  options: DeployOptions,
): AsyncGenerator<DeployEvent> {
  const { client, scope, signal, trace } = options;
  const ref: AppRef = { ...scope, name: app.spec.name };
  const { keep, ...image } = yield* makeImage(started, { ...options, registry, needsBase, platform });
  const apply = () => client.applyApp(ref, app.spec, image, randomUUID());
  const deployment = await trace.time("hand it to the platform", apply);
  yield {
    type: "deploying",
    app: ref.name,
    project: ref.project,
    domain: ref.domain,
    consoleUrl: deployment.consoleUrl,
    deployment: deployment.id,
  };
  const kept = trace.time("keep the image on this machine", () => keep().finally(syncCache));
  kept.catch(() => undefined); // told below
  if (options.wait) {
    options.idle();
    const shown = relative(options.cwd, root);
    yield* follow({ client, ref, deployment: deployment.id, root: shown, signal, trace });
  }
  try {
    await kept;
  } catch (error) {
    // The app runs whatever is on this machine.
    const message = `the image of ${ref.name} is not kept on this machine, nor its bill of materials: ${messageOf(error)}`;
    yield { type: "warning", message };
  }
}

async function createMissing(missing: string[], app: LoadedApp, options: DeployOptions): Promise<void> {
  const wanted = missing.map((key) => {
    const fileOnly = app.spec.secrets.filter((secret) => secret.key === key).every((secret) => secret.mount === "file");
    return { key, mount: fileOnly ? ("file" as const) : ("env" as const) };
  });
  // Asked even when nothing is missing: it also says what is wrong with the values that were offered.
  const values = await options.provideSecrets(wanted, app.spec.name);
  for (const { key, mount } of wanted) {
    const value = values.get(key);
    if (!value) throw new Error(`no value for secret ${key}`);
    try {
      const secret = {
        name: key,
        scope: "project" as const,
        value: Buffer.from(value.reveal()).toString("base64"),
        binary: mount === "file",
      };
      await options.client.createSecret(options.scope, secret, true);
    } catch (error) {
      // Somebody else created it meanwhile: it exists, which is all that was wanted.
      if (!(isAppctlError(error) && error.code === "SECRET_EXISTS")) throw error;
    }
  }
}

/** What {@link follow} needs. */
export interface FollowOptions {
  client: Client;
  ref: AppRef;
  deployment: number | "latest";
  /** Folder of the file that was deployed, relative to the working directory; places in failures are shown below it. */
  root?: string;
  signal: AbortSignal;
  trace?: Trace | undefined;
}

/** Joins a deployment: its events from the first to the verdict. Throws when it failed. */
export async function* follow(options: FollowOptions): AsyncGenerator<DeployEvent> {
  const { client, ref, signal, trace } = options;
  let since = trace?.now() ?? 0;
  const page = await client.deploymentEvents(ref, options.deployment, 0, signal);
  const { deployment } = page;
  for await (const event of client.follow(ref, deployment.id, 0, signal, page)) {
    if (event.type === "status") {
      since = trace?.since(`the platform: until ${event.reason || event.phase}`, since) ?? 0;
      yield { type: "status", phase: event.phase, reason: event.reason, message: event.message };
    } else if (event.type === "failed") throw failure(ref, event, options.root ?? "");
    else {
      yield {
        type: "succeeded",
        app: ref.name,
        endpoint: event.endpoint,
        revision: event.revision,
        image: event.image,
        digest: event.digest,
        consoleUrl: deployment.consoleUrl,
        unchanged: event.unchanged,
      };
    }
  }
}

function failure(ref: AppRef, event: Extract<DeploymentEvent, { type: "failed" }>, root: string): AppctlError {
  const { cause } = event;
  return new AppctlError({
    code: cause.code,
    exit: ExitCode.failed,
    message: `${ref.name} failed: ${cause.message}`,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    ...(cause.location ? { location: { ...cause.location, file: join(root, cause.location.file) } } : {}),
    details: detailsOf(cause),
    next: [`appctl logs apps ${ref.name}`],
  });
}

function detailsOf(cause: FailureCause): string[] {
  const logs = cause.logs ?? [];
  return [
    ...(cause.stack ?? []),
    ...(logs.length > 0 ? ["", `Last lines of its output:`, ...logs.map(({ line }) => `  ${line}`)] : []),
  ];
}
