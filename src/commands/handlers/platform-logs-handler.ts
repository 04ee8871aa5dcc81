import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";
import { pathsOf } from "../../core/paths.ts";
import { pause } from "../../http/retry.ts";
import type { Io } from "../../ui/io.ts";
import { plainLine } from "../../ui/plain-text.ts";
import { wholeNumber } from "../shared/flags.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { tilde } from "../shared/session.ts";

/** Lines that are shown when `--tail` is not given. */
const DEFAULT_TAIL = 200;
/** How often `--follow` looks for new lines, in milliseconds. */
const FOLLOW_MS = 200;

/** `appctl platform logs`: the local platform's own log. Starts nothing. */
export async function platformLogs(io: Io, flags: CommonFlags & { follow?: boolean; tail?: string }): Promise<void> {
  const tail = flags.tail === undefined ? DEFAULT_TAIL : wholeNumber("--tail", flags.tail, 0, 1_000_000);
  const path = join(pathsOf(io.env).state, "platform.log");
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(path, error);
    io.stderr.write(`The local platform has never run (no ${tilde(path, io.env)}).\n`);
    return;
  }
  try {
    const text = await file.readFile("utf8").catch((error) => {
      throw unreadable(path, error);
    });
    const lines = text.split("\n");
    const unfinished = lines.pop() ?? "";
    print(io, tail === 0 ? [] : lines.slice(-tail));
    if (flags.follow) await follow(io, file, Buffer.byteLength(text) - Buffer.byteLength(unfinished));
    else if (unfinished) print(io, [unfinished]);
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): AppctlError {
  return new AppctlError({
    code: "NOT_READABLE",
    exit: ExitCode.unavailable,
    message: `${path} cannot be read: ${messageOf(cause)}`,
    hint: "set XDG_STATE_HOME, or HOME, to the folder of the platform's state",
    cause,
  });
}

async function follow(io: Io, file: FileHandle, from: number): Promise<void> {
  let position = from;
  const signal = AbortSignal.any([io.signal, io.unread]);
  for (;;) {
    const { size } = await file.stat();
    if (size < position) position = 0; // it was cut short
    if (size > position) {
      const { buffer } = await file.read(Buffer.alloc(size - position), 0, size - position, position);
      const end = buffer.lastIndexOf(0x0a) + 1;
      if (end > 0)
        print(
          io,
          buffer
            .subarray(0, end - 1)
            .toString("utf8")
            .split("\n"),
        );
      position += end;
    }
    try {
      await pause(FOLLOW_MS, signal);
    } catch (error) {
      if (io.unread.aborted) return;
      throw error;
    }
  }
}

function print(io: Io, lines: string[]): void {
  for (const line of lines) io.stdout.write(`${plainLine(line)}\n`);
}
