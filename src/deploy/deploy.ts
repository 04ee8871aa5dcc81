/**
 * The deploy pipeline, top to bottom: load, check all, create secrets, deliver the image, apply, follow. It yields events and
 * knows no terminal and no process. Only the client talks to the platform.
 */
import { randomUUID } from "node:crypto";
import type { LoadedFile } from "../app/loaded-file.ts";
import { deployOrder } from "../app/select.ts";
import type { AppRef } from "../contract/types.ts";
import { messageOf, withDeployFacts } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import { syncCache } from "../image/image-cache.ts";
import { type PreparedImage, prepareImage } from "../image/prepare-image.ts";
import { type PublishedImage, publishImage, type RegistryChoice } from "../image/publish-image.ts";
import { type CheckOptions, checkAll } from "./check.ts";
import { follow } from "./follow.ts";
import type { LoadFileOptions } from "./load-file.ts";
import { createSecrets, type SecretOptions } from "./secrets.ts";

// Commands load all of it as one file of dist/ (bin/build.js).
export { buildImage, isBuiltByPlatform } from "../image/build-image.ts";
export { syncCache } from "../image/image-cache.ts";
export { loadFile } from "./load-file.ts";

/** What {@link deploy} needs. */
export interface DeployOptions extends LoadFileOptions, CheckOptions, SecretOptions {
  /** The result of `loadFile`: loading starts before there is a client, since neither needs the other. */
  loaded: Promise<LoadedFile>;
  /** Name of the App; may be left out when the file has one. */
  name: string | undefined;
  pushTo: RegistryChoice;
  /** False: return when the platform has accepted the deploy. */
  wait: boolean;
  /** Called when there is nothing to do but wait for the platform. */
  idle(): void;
}

/** Deploys an app of a file, its dependencies first. Throws an AppctlError for everything that stops it. */
export async function* deploy(options: DeployOptions): AsyncGenerator<DeployEvent> {
  const loaded = await options.loaded;
  const end = new AbortController();
  const signal = AbortSignal.any([options.signal, end.signal]);
  const images: PreparedImage[] = [];
  let app = options.name ?? (loaded.apps.length === 1 ? loaded.apps[0]?.name : undefined);
  try {
    for (const message of loaded.bundle.warnings) yield { type: "warning", message };
    for (const each of deployOrder(loaded, options.name))
      images.push(prepareImage(each, loaded, { ...options, signal }));
    const checks = await checkAll(images, options);
    for (const { image, warnings, missingSecrets } of checks) {
      app = image.app.spec.name;
      for (const message of warnings) yield { type: "warning", message };
      await createSecrets(image.app, missingSecrets, options);
    }
    for (const { image, registry, needsBase, platform } of checks) {
      const { spec } = image.app;
      app = spec.name;
      const ref = { ...options.scope, name: spec.name };
      const published = yield* publishImage(image, { ...options, registry, needsBase, platform });
      const apply = () => options.client.applyApp(ref, spec, published.image, randomUUID());
      const { id, consoleUrl } = await options.trace.time("hand it to the platform", apply);
      yield { type: "deploying", app: ref.name, ...options.scope, consoleUrl, deployment: id };
      const kept = keep(published, ref, options);
      if (options.wait) options.idle();
      const project = { root: loaded.bundle.root, cwd: options.cwd };
      if (options.wait) yield* follow({ ...options, ref, deployment: id, project });
      yield* await kept;
    }
  } catch (error) {
    throw withDeployFacts(error, { app, ...options.scope });
  } finally {
    // A fault may leave work behind, and npm has processes of its own: they end here, not with this process.
    end.abort(new Error("the deploy has ended"));
    await Promise.allSettled(images.flatMap(({ resolved, layer }) => [resolved, layer]));
    await loaded.tidied;
  }
}

/** Keeps the image on this machine while the platform works. Never rejects: the app runs without it. */
async function keep({ keep }: PublishedImage, { name }: AppRef, { trace }: DeployOptions): Promise<DeployEvent[]> {
  try {
    await trace.time("keep the image on this machine", () => keep().finally(syncCache));
    return [];
  } catch (error) {
    const message = `the image of ${name} is not kept on this machine, nor its bill of materials: ${messageOf(error)}`;
    return [{ type: "warning", message }];
  }
}
