import { awaitLocalPlatform, upgradeLocalPlatform } from "../../client/local-platform.ts";
import { AppctlError, ExitCode } from "../../core/errors.ts";
import { version } from "../../core/package-files.ts";
import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";

/** `appctl platform upgrade`: the supervisor, the apps and the public port stay. */
export async function platformUpgrade(io: Io, flags: CommonFlags & { force?: boolean }): Promise<void> {
  const platform = await awaitLocalPlatform(io.env);
  if (!platform) {
    throw new AppctlError({
      code: "PLATFORM_NOT_RUNNING",
      exit: ExitCode.unavailable,
      message: "the local platform is not running: the next command starts it in this version",
      next: ["appctl platform start"],
    });
  }
  const { version: from } = platform.file;
  const to = version();
  if (from === to && !flags.force) {
    return printResult(io, flags, { upgraded: false, version: to }, `The local platform is appctl ${to} already.`);
  }
  const upgraded = await upgradeLocalPlatform(io.env, platform, io.signal);
  if (!upgraded) {
    throw new AppctlError({
      code: "SUPERVISOR_TOO_OLD",
      exit: ExitCode.unavailable,
      message: "the supervisor of the local platform is of another version, which cannot hand over to this one",
      hint: "a stop and a start replace it; apps start again",
      next: ["appctl platform stop", "appctl platform start"],
    });
  }
  const { pid } = upgraded.file;
  printResult(
    io,
    flags,
    { upgraded: true, from, version: to, pid },
    `The local platform is appctl ${to} now. Its apps go on.`,
  );
}
