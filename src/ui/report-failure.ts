import type { FailureModes } from "./argv-modes.ts";
import { failureLines, failureObject } from "./failure.ts";
import type { Io } from "./io.ts";
import { styleOf } from "./style.ts";

/** Prints a failure as text on stderr and, for programs, as the one JSON object or the last event on stdout. */
export async function reportFailure(io: Io, error: unknown, modes: FailureModes): Promise<void> {
  const { launcher } = io;
  if (modes.output === "json") {
    io.stdout.write(`${JSON.stringify({ error: failureObject(error, modes.target, launcher) }, null, 2)}\n`);
  } else if (modes.output === "ndjson") {
    io.lines.write({ type: "failed", ...{ error: failureObject(error, modes.target, launcher) } });
  }
  const style = await styleOf(io.stderr, io.env, modes.color);
  const { verbose, target } = modes;
  io.stderr.write(`${failureLines(error, { style, cwd: io.cwd, verbose, target, launcher }).join("\n")}\n`);
}
