import { pathsOf } from "../core/paths.ts";
import { deployRenderer } from "../ui/deploy-renderer.ts";
import type { Io } from "../ui/io.ts";
import { besideProgress } from "../ui/progress.ts";
import { offeredSecrets, secretProvider } from "./deploy-secrets.ts";
import { type CommonFlags, milliseconds } from "./flags.ts";
import { withSession } from "./session.ts";
import { DEFAULT_WAIT_MS, draw } from "./wait.ts";

/** Flags of `deploy apps`. */
export interface DeployFlags extends CommonFlags {
  secret?: string[];
  waitTimeout?: string;
  wait: boolean;
  allowScripts?: boolean;
}

/** `appctl deploy apps FILE [NAME]`. */
export async function deployApps(outer: Io, file: string, name: string | undefined, flags: DeployFlags): Promise<void> {
  const waitMs = flags.waitTimeout === undefined ? DEFAULT_WAIT_MS : milliseconds("--wait-timeout", flags.waitTimeout);
  const renderer = await deployRenderer(outer, flags.output, flags.color);
  const io = besideProgress(outer, renderer.progress);
  try {
    renderer.progress.say(`Loading ${file}`);
    const offered = await offeredSecrets(io, flags.secret ?? []);
    await withSession(io, flags, async ({ client, scope }) => {
      const { deploy } = await import("../deploy.ts");
      const provideSecrets = secretProvider(io, {
        client,
        scope,
        offered,
        last: name,
        beforePrompt: () => renderer.progress.stop(),
      });
      const drawn = await draw(
        (signal) =>
          deploy({
            file,
            name,
            cwd: io.cwd,
            env: io.env,
            scope,
            client,
            cacheDir: pathsOf(io.env).cache,
            provideSecrets,
            wait: flags.wait,
            allowScripts: flags.allowScripts,
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
  } finally {
    renderer.progress.stop();
  }
}
