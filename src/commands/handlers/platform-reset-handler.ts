import { stopEverything } from "../../client/local-platform.ts";
import { AppctlError, ExitCode, usageError } from "../../core/errors.ts";
import { pathsOf } from "../../core/paths.ts";
import { lastRuntime } from "../../core/platform-file.ts";
import { canAsk, type Io } from "../../ui/io.ts";
import { commandLine } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";

/** `appctl platform reset`: asks first, unless `--yes`. The configuration file stays. */
export async function platformReset(io: Io, flags: CommonFlags & { yes?: boolean }): Promise<void> {
  const paths = pathsOf(io.env);
  const { resetFolders, resetPlatform } = await import("../../platform/run.ts");
  const folders = resetFolders(paths);
  if (folders.length === 0) {
    return printResult(io, flags, { removed: [] }, "Nothing to remove: no platform ran and nothing was built here.");
  }
  if (!flags.yes) await confirmReset(io, folders);
  await stopEverything(io.env, io.signal);
  const removed = await resetPlatform({
    paths,
    runtime: lastRuntime(paths.state) === "docker" ? "docker" : "process",
    env: io.env,
    log: (message) => io.stderr.write(`Warning: ${message}\n`),
  });
  const text = ["Removed:", ...removed.map((dir) => `  ${dir}`), `${paths.configFile} stays.`].join("\n");
  printResult(io, flags, { removed }, text);
}

async function confirmReset(io: Io, folders: string[]): Promise<void> {
  if (!canAsk(io)) {
    throw usageError("the platform was not reset: pass --yes (no terminal to ask on)", {
      code: "NOT_CONFIRMED",
      next: [commandLine(["platform", "reset", "--yes"])],
    });
  }
  io.stderr.write(`This removes every app, secret, API key and image of the local platform:\n`);
  for (const dir of folders) io.stderr.write(`  ${dir}\n`);
  const { confirm } = await import("../../ui/prompt.ts");
  if (!(await confirm(io, "Remove them? This cannot be undone."))) {
    throw new AppctlError({ code: "NOT_CONFIRMED", exit: ExitCode.failed, message: "the platform was not reset" });
  }
}
