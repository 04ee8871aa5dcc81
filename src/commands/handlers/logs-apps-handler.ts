import type { LogLine } from "../../contract/types.ts";
import { usageError } from "../../core/errors.ts";
import type { Io } from "../../ui/io.ts";
import { plainLine } from "../../ui/plain-text.ts";
import { milliseconds, wholeNumber } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printJson } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** Flags of `logs apps`. */
export interface LogFlags extends CommonFlags {
  follow?: boolean;
  tail?: string;
  since?: string;
}

/** `appctl logs apps NAME`: the app's output, oldest first. */
export async function logsApps(io: Io, name: string, flags: LogFlags): Promise<void> {
  const follow = flags.follow ?? false;
  if (follow && flags.output === "json") {
    throw usageError("--follow needs -o ndjson, not -o json", { hint: "-o ndjson is a line for each" });
  }
  const query = {
    follow,
    tail: flags.tail === undefined ? undefined : wholeNumber("--tail", flags.tail, 0, 1_000_000),
    since: flags.since === undefined ? undefined : sinceTime(flags.since, io.now()),
  };
  await withSession(io, flags, async ({ client, scope }) => {
    const signal = AbortSignal.any([io.signal, io.unread]);
    const lines: LogLine[] = [];
    let count = 0;
    try {
      for await (const line of client.logs({ ...scope, name }, query, signal)) {
        count++;
        if (flags.output === "json") lines.push(line);
        else if (flags.output === "ndjson") io.lines.write({ type: "log", ...line });
        else io.stdout.write(`${plainLine(line.line)}\n`);
      }
    } catch (error) {
      io.signal.throwIfAborted();
      if (io.unread.aborted) return; // `| head` has what it wanted
      throw error;
    }
    if (flags.output === "json") printJson(io, { lines });
    else if (flags.output === "ndjson") io.lines.write({ type: "succeeded", ...{ lines: count } });
    else if (count === 0) io.stderr.write(`App ${name} has no output${flags.since ? " in that time" : ""}.\n`);
  });
}

/** `--since` as an ISO 8601 time: a duration back from now, or a time. */
export function sinceTime(text: string, now: Date): string {
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const time = Date.parse(text);
    if (Number.isNaN(time))
      throw usageError(`--since "${text}" is not a time`, { hint: "such as 2026-01-31T08:00:00Z" });
    return new Date(time).toISOString();
  }
  return new Date(now.getTime() - milliseconds("--since", text)).toISOString();
}
