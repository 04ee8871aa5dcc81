import { join } from "node:path";
import {
  ensureLocalPlatform,
  findLocalPlatform,
  type LocalPlatform,
  type StartMessage,
  startPlatform,
} from "../../client/local-platform.ts";
import { resolveConfig } from "../../core/config.ts";
import { AppctlError, ExitCode as Exit, type ExitCode, messageOf } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.ts";
import { builtFile, packageRoot, version } from "../../core/package-files.ts";
import { pathsOf } from "../../core/paths.ts";
import { runtimeOf } from "../../core/platform-file.ts";
import type { Io } from "../../ui/io.ts";
import { commandLine } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";
import { tilde } from "../shared/session.ts";
import { runArguments, type StartFlags } from "../shared/start-flags.ts";

/** `appctl platform start`: one that runs already is fine, unless it was to run otherwise. */
export async function platformStart(io: Io, flags: StartFlags): Promise<void> {
  const { port, runtime } = await resolveConfig(flags, io.env, io.cwd);
  if (flags.printSystemdUnit) {
    const { systemdUnit } = await import("../shared/systemd-unit.ts");
    const args = ["platform", "start", "--foreground", ...runArguments(port, { ...flags, runtime })];
    io.stdout.write(
      systemdUnit({ command: [process.execPath, join(packageRoot(), "bin", "appctl.js"), ...args], env: io.env }),
    );
    return;
  }
  if (flags.foreground) return runInForeground(io, runArguments(port, { ...flags, runtime }));
  const running = await findLocalPlatform(io.env);
  if (running) return report(io, flags, sameOrConflict(running, flags));
  const outcome = await startPlatform(io.env, runArguments(port, { ...flags, runtime }));
  if (outcome.type === "failed") {
    throw new AppctlError({ ...outcome.error, exit: outcome.error.exit as ExitCode });
  }
  if (flags.runtime === undefined && runtime === "process" && flags.output !== "json") await suggestContainers(io);
  // Locked: another command is starting one at this moment; ensure waits for it.
  report(io, flags, { ...(await ensureLocalPlatform(io.env, port)), started: outcome.type === "ready" });
}

/** The supervisor in this process, until it is asked to stop. */
async function runInForeground(io: Io, args: string[]): Promise<void> {
  const { Supervisor } = await import("../../supervisor/supervisor.ts");
  const { programIn } = await import("../../supervisor/upgrade-file.ts");
  const log = (message: string) => io.stderr.write(`${io.now().toISOString()} ${message}\n`);
  const { state } = pathsOf(io.env);
  makeFolder(state, "XDG_STATE_HOME");
  let failure: StartMessage | undefined;
  const supervisor = new Supervisor({
    node: process.execPath,
    program: builtFile("main.js"),
    args: ["platform", "run", ...args],
    version: version(),
    env: io.env,
    signal: io.signal,
    notify: (report) => {
      failure = report as StartMessage;
    },
    log,
  });
  process.on("SIGHUP", () => {
    try {
      supervisor.upgrade(programIn(join(state, "upgrade.json")));
    } catch (error) {
      log(`no upgrade: ${messageOf(error)}`);
    }
  });
  await supervisor.run();
  if (failure?.type === "failed") throw new AppctlError({ ...failure.error, exit: failure.error.exit as ExitCode });
  if (failure?.type === "locked") {
    throw new AppctlError({
      code: "PLATFORM_RUNNING",
      exit: Exit.conflict,
      message: `another platform uses the state directory ${state}`,
      next: ["appctl platform status", "appctl platform stop"],
    });
  }
}

/** Nothing chooses containers by itself: apps would run otherwise on the day on which somebody installs an engine. */
async function suggestContainers(io: Io): Promise<void> {
  const { presentSocket } = await import("../../container-engine/socket.ts");
  const socket = presentSocket(io.env);
  if (socket === undefined) return;
  io.stderr.write(
    `Found a container engine (${socket}). To run apps in containers: ${io.launcher} platform start --runtime docker\n`,
  );
}

function report(io: Io, flags: CommonFlags, { file, started }: LocalPlatform): void {
  const state = tilde(pathsOf(io.env).state, io.env);
  const word = started ? "Started the local platform" : "The local platform already runs";
  const runtime = runtimeOf(file) === "docker" ? ", apps in containers" : "";
  printResult(
    io,
    flags,
    { url: file.url, pid: file.pid, version: file.version, stateDirectory: pathsOf(io.env).state, started },
    `${word} at ${file.url} (pid ${file.pid}${runtime}, state in ${state})`,
  );
}

/** A platform that runs is the wanted one unless a flag says otherwise. */
function sameOrConflict(running: LocalPlatform, flags: StartFlags): LocalPlatform {
  const runningPort = Number(new URL(running.file.address).port);
  const samePort = flags.port === undefined || flags.port === runningPort;
  const { host, baseDomain, url, runtime } = flags;
  const sameRuntime = runtime === undefined || runtime === runtimeOf(running.file);
  if (samePort && sameRuntime && host === undefined && baseDomain === undefined && url === undefined) return running;
  throw new AppctlError({
    code: "PLATFORM_RUNNING",
    exit: Exit.conflict,
    message: `a local platform runs already at ${running.file.url} (pid ${running.file.pid})`,
    hint: "to change its settings, stop it first; its apps start again with it",
    next: [
      "appctl platform stop",
      commandLine(["platform", "start", ...runArguments(flags.port ?? runningPort, flags)]),
    ],
  });
}
