import { Client } from "../client/client.ts";
import { pause } from "../client/http.ts";
import { findLocalPlatform } from "../client/local-platform.ts";
import { AppctlError, ExitCode } from "../core/errors.ts";
import type { Io } from "../ui/io.ts";
import type { CommonFlags } from "./flags.ts";
import { printResult } from "./print.ts";

/** Longest wait for a platform to end, in milliseconds: its apps may take their grace period. */
const STOP_MS = 60_000;

/** `appctl platform stop`: ends this user's local platform in good order. One that does not run is fine. */
export async function platformStop(io: Io, flags: CommonFlags): Promise<void> {
  const platform = await findLocalPlatform(io.env);
  if (!platform) return printResult(io, flags, { stopped: false }, "The local platform does not run.");
  const { pid } = platform.file;
  const client = new Client({ endpoint: platform.endpoint, apiKey: platform.apiKey });
  try {
    await client.stopPlatform();
  } finally {
    await client.close();
  }
  const deadline = performance.now() + STOP_MS;
  while (isAlive(pid)) {
    if (performance.now() > deadline) {
      throw new AppctlError({
        code: "PLATFORM_STUCK",
        exit: ExitCode.unavailable,
        message: `the local platform (pid ${pid}) was asked to stop and still runs`,
        next: ["appctl platform logs"],
      });
    }
    await pause(25, io.signal);
  }
  printResult(io, flags, { stopped: true, pid }, "The local platform is stopped. Its apps come back when it starts.");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: it is gone
  }
}
