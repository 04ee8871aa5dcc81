import { resolveConfig } from "../../core/config.ts";
import { pathsOf } from "../../core/paths.ts";
import { lastPlace } from "../../core/platform-file.ts";
import { SUPERVISOR_VARIABLE } from "../../supervisor/messages.ts";
import type { Io } from "../../ui/io.ts";
import type { StartFlags } from "../shared/start-flags.ts";

/**
 * `appctl platform run` (hidden): the platform in this process, until it is asked to stop. A supervisor runs it.
 * `io.notify` tells the command that started it how the start went.
 */
export async function platformRun(io: Io, flags: StartFlags): Promise<void> {
  const { port, runtime } = await resolveConfig(flags, io.env, io.cwd);
  // One that was killed comes back where it was, whichever command starts it.
  const last = lastPlace(pathsOf(io.env).state, port);
  const { RemoteHost, runPlatform } = await import("../../platform/run.ts");
  const report = (message: string) => io.stderr.write(`${io.now().toISOString()} ${message}\n`);
  const fd = io.env[SUPERVISOR_VARIABLE];
  // Nothing that the platform starts is to look for it.
  delete io.env[SUPERVISOR_VARIABLE];
  const gone = new AbortController();
  const above = fd === undefined ? undefined : await RemoteHost.connect(Number(fd), () => gone.abort());
  await runPlatform({
    port,
    host: flags.host ?? last.host ?? "127.0.0.1",
    baseDomain: flags.baseDomain ?? last.baseDomain,
    url: flags.url ?? last.url,
    runtime,
    gatewayWorkers: flags.gatewayWorkers ?? 1,
    env: io.env,
    above,
    // Without its supervisor nothing holds the replicas: they have ended, or end with this platform.
    signal: AbortSignal.any([io.signal, gone.signal]),
    notify: above ? (message) => void above.host.report(message, message.type === "ready") : io.notify,
    report,
  });
}
