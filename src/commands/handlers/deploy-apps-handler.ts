import { setImmediate } from "node:timers/promises";
import { withDeployFacts } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.ts";
import { pathsOf } from "../../core/paths.ts";
import { Trace } from "../../core/trace.ts";
import { deployRenderer } from "../../ui/choose-renderer.ts";
import type { Io } from "../../ui/io.ts";
import { besideProgress } from "../../ui/progress.ts";
import { traceLines } from "../../ui/trace-lines.ts";
import { offeredSecrets, secretProvider } from "../shared/deploy-secrets.ts";
import { DEFAULT_WAIT_MS, draw } from "../shared/draw.ts";
import { milliseconds } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { reportNewPlace } from "../shared/new-place.ts";
import { withSession } from "../shared/session.ts";
import { tidyCache } from "../shared/tidy-cache.ts";

/** Flags of `deploy apps`. */
export interface DeployFlags extends CommonFlags {
  secret?: string[];
  waitTimeout?: string;
  wait: boolean;
  allowScripts?: boolean;
  registry?: string;
}

/** `appctl deploy apps FILE [NAME]`. */
export async function deployApps(outer: Io, file: string, name: string | undefined, flags: DeployFlags): Promise<void> {
  const waitMs = flags.waitTimeout === undefined ? DEFAULT_WAIT_MS : milliseconds("--wait-timeout", flags.waitTimeout);
  const trace = new Trace();
  trace.since("start Node and appctl", 0);
  const { cwd, env } = outer;
  const early = new AbortController();
  let tidied: Promise<void> | undefined;
  const { deploy, loadFile } = await import("../../deploy/deploy.ts");
  const cacheDir = makeFolder(pathsOf(env).cache, "XDG_CACHE_HOME");
  const what = { file, cwd, env, cacheDir, allowScripts: flags.allowScripts, early: outer.loading, trace };
  // First of all: while esbuild and the thread that describes the file are at work, there is time for everything else.
  const loaded = loadFile({ ...what, signal: AbortSignal.any([outer.signal, early.signal]) });
  loaded.catch(() => undefined); // reported where it is awaited
  // A bundle that is ready goes to that thread before this one is busy with everything else.
  for (let turn = 0; turn < 3; turn++) await setImmediate();
  const renderer = await deployRenderer(outer, flags.output, flags.color);
  const io = besideProgress(outer, renderer.progress);
  const leave = async () => {
    early.abort(new Error("the command has ended"));
    await loaded.then(
      ({ tidied }) => tidied,
      () => undefined, // reported already, or not needed any more
    );
  };
  try {
    renderer.progress.say(`Loading ${file}`);
    const offered = await offeredSecrets(io, flags.secret ?? []);
    const connecting = trace.now();
    await withSession(io, flags, async ({ client, scope, config, next }) => {
      trace.since("find or start the platform", connecting);
      await reportNewPlace(io, client, scope);
      const provideSecrets = secretProvider(io, {
        client,
        scope,
        next,
        offered,
        last: name,
        beforePrompt: () => renderer.progress.stop(),
      });
      const drawn = await draw(
        (signal) =>
          deploy({
            ...what,
            loaded,
            name,
            scope,
            client,
            pushTo: { flag: flags.registry, fallback: config.registry },
            baseImage: config.baseImage,
            provideSecrets,
            wait: flags.wait,
            idle: () => {
              tidied ??= tidyCache(what.cacheDir, outer.now().getTime(), outer.signal);
            },
            signal,
          }),
        { renderer, signal: io.signal, waitMs, scope },
      );
      if (!drawn.succeeded && drawn.accepted) {
        const { app, deployment, consoleUrl } = drawn.accepted;
        const { endpoint } = await client.getApp({ ...scope, name: app });
        renderer.accepted({ app, ...scope, deployment, consoleUrl, endpoint });
      }
    });
    renderer.end();
  } catch (error) {
    throw withDeployFacts(error, { app: name });
  } finally {
    renderer.progress.stop();
    await Promise.all([leave(), tidied]);
    if (flags.verbose && flags.output === "text") io.stderr.write(`${traceLines(trace.spans()).join("\n")}\n`);
  }
}
