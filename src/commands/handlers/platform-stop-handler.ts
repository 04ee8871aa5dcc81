import { stopEverything } from "../../client/local-platform.ts";
import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printResult } from "../shared/print.ts";

/** `appctl platform stop`: ends this user's local platform gracefully. One that does not run is fine. */
export async function platformStop(io: Io, flags: CommonFlags): Promise<void> {
  const pid = await stopEverything(io.env, io.signal);
  if (pid === undefined) return printResult(io, flags, { stopped: false }, "The local platform does not run.");
  printResult(io, flags, { stopped: true, pid }, "The local platform is stopped. Its apps start again with it.");
}
