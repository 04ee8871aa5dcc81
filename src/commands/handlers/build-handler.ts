import type { Client } from "../../client/client.ts";
import { resolveConfig } from "../../core/config.ts";
import { makeFolder } from "../../core/make-folder.ts";
import { pathsOf } from "../../core/paths.ts";
import { Trace } from "../../core/trace.ts";
import { deployRenderer } from "../../ui/choose-renderer.ts";
import type { Io } from "../../ui/io.ts";
import { besideProgress } from "../../ui/progress.ts";
import { traceLines } from "../../ui/trace-lines.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";
import { tidyCache } from "../shared/tidy-cache.ts";

/** Flags of `build`. */
export interface BuildFlags extends CommonFlags {
  registry?: string;
  push?: boolean;
  allowScripts?: boolean;
}

/** `appctl build FILE [NAME]`: no platform is asked or started, but by `builder: "remote"`. */
export async function build(io: Io, file: string, name: string | undefined, flags: BuildFlags): Promise<void> {
  const { cwd, env, signal } = io;
  const trace = new Trace();
  const config = await resolveConfig(flags, env, cwd);
  const { buildImage, isBuiltByPlatform, loadFile, syncCache } = await import("../../deploy/deploy.ts");
  const cacheDir = makeFolder(pathsOf(env).cache, "XDG_CACHE_HOME");
  const what = { file, cwd, env, cacheDir, allowScripts: flags.allowScripts, early: io.loading, signal, trace };
  const renderer = await deployRenderer(io, flags.output, flags.color);
  try {
    renderer.progress.say(`Loading ${file}`);
    const pushTo = { flag: flags.registry, fallback: config.registry };
    const { baseImage } = config;
    const loaded = await loadFile(what);
    const draw = async (client?: Client) => {
      const options = { ...what, name, pushTo, baseImage, push: flags.push === true, client };
      const events = buildImage(loaded, options);
      let step = await events.next();
      for (; !step.done; step = await events.next()) renderer.event(step.value);
      return step.value;
    };
    const onPlatform = async () => {
      const { withSession } = await import("../shared/session.ts");
      return withSession(besideProgress(io, renderer.progress), flags, ({ client }) => draw(client));
    };
    const built = await (isBuiltByPlatform(loaded, name) ? onPlatform() : draw()).finally(() => loaded.tidied);
    renderer.progress.stop();
    const { reference, digest, pushed, platforms } = built;
    const meant = platforms ? ` (${platforms.map(({ platform }) => platform).join(", ")})` : "";
    printResult(io, flags, built, `${pushed ? "Pushed" : "Built"} ${reference}@${digest}${meant}`);
    await Promise.all([syncCache(), tidyCache(what.cacheDir, io.now().getTime(), signal)]);
  } finally {
    renderer.progress.stop();
    if (flags.verbose && flags.output === "text") io.stderr.write(`${traceLines(trace.spans()).join("\n")}\n`);
  }
}
