import type { FailureModes } from "./argv-modes.ts";
import { failureLines, failureObject } from "./failure.ts";
import type { Io } from "./io.ts";
import { styleOf } from "./style.ts";

/**
 * Prints a failure, once: as the one JSON object on stdout, as the terminal event of `-o ndjson`, or as text on stderr.
 */
export async function reportFailure(io: Io, error: unknown, modes: FailureModes): Promise<void> {
  if (modes.output === "json") {
    io.stdout.write(`${JSON.stringify({ error: failureObject(error) }, null, 2)}\n`);
  } else if (modes.output === "ndjson") {
    io.lines.write({ type: "failed", ...{ error: failureObject(error) } });
  } else {
    const style = await styleOf(io.stderr, io.env, modes.color);
    io.stderr.write(`${failureLines(error, { style, cwd: io.cwd, verbose: modes.verbose }).join("\n")}\n`);
  }
}
