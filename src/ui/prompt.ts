import { AppctlError, ExitCode, usageError } from "../core/errors.ts";
import { Redacted } from "../core/redacted.ts";
import { bytesText } from "./age.ts";
import { HiddenLine, type LineResult, PASTE_OFF, PASTE_ON } from "./hidden-line.ts";
import type { Io } from "./io.ts";

type PromptIo = Pick<Io, "stdin" | "stderr" | "signal">;

/**
 * Asks for a value that is not shown, on the terminal that stdin is. `label` is printed on stderr, and afterwards how many
 * bytes were read. The Enter at its end is not part of the value; the value may be empty. Ctrl-C throws the exit code 130.
 */
export async function askHidden(io: PromptIo, label: string, maxBytes: number): Promise<Redacted<Uint8Array>> {
  const line = new HiddenLine(maxBytes);
  let hint = "";
  try {
    const result = await readInput(io, `${PASTE_ON}${label}`, (chunk) => line.feed(chunk), { raw: true });
    if (result.type === "interrupted") throw interrupted();
    if (result.type === "cancelled") throw cancelled();
    if (result.type === "too-long") {
      throw usageError(`the value is longer than ${bytesText(maxBytes)}`, { code: "SECRET_TOO_LARGE" });
    }
    // A line end that was copied by mistake is the commonest wrong secret, and nobody sees it.
    const ending = result.value.at(-1) === 0x0a ? ", the last a line end" : "";
    hint = `${bytesText(result.value.length)} read${ending}`;
    return new Redacted(result.value);
  } finally {
    io.stderr.write(`${PASTE_OFF}${hint}\n`);
  }
}

/** Asks a question that is answered with y or n; everything but y and yes is no. The terminal echoes and edits. */
export async function confirm(io: PromptIo, question: string): Promise<boolean> {
  const line = new HiddenLine(1000);
  const result = await readInput(io, `${question} [y/N] `, (chunk) => line.feed(chunk), { raw: false });
  if (result.type === "interrupted") throw interrupted();
  if (result.type !== "done") {
    io.stderr.write("\n");
    return false;
  }
  return /^(?:y|yes)$/i.test(Buffer.from(result.value).toString("utf8").trim());
}

type Ended = Exclude<LineResult, { type: "more" }>;

/** Reads the terminal until `feed` has a result. It is put back whatever happens. */
function readInput(
  { stdin, stderr, signal }: PromptIo,
  prompt: string,
  feed: (chunk: Uint8Array) => LineResult,
  { raw }: { raw: boolean },
): Promise<Ended> {
  return new Promise<Ended>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      stdin.off("data", onData);
      stdin.off("end", onEnd);
      stdin.off("error", onError);
      signal.removeEventListener("abort", onAbort);
      stdin.pause();
      if (raw) stdin.setRawMode?.(false);
    };
    const onData = (chunk: string | Uint8Array) => {
      const result = feed(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
      if (result.type === "more") return;
      stop();
      if (result.type === "done" && result.rest.length > 0) stdin.unshift(result.rest);
      resolve(result);
    };
    const onEnd = () => {
      stop();
      resolve({ type: "cancelled" });
    };
    const onError = (error: Error) => {
      stop();
      // A terminal that was closed answers with EIO.
      if ((error as NodeJS.ErrnoException).code === "EIO") resolve({ type: "cancelled" });
      else reject(error);
    };
    const onAbort = () => {
      stop();
      reject(signal.reason);
    };
    // Raw mode before the question: what is typed at once must not be echoed.
    if (raw) stdin.setRawMode?.(true);
    stdin.on("data", onData);
    stdin.on("end", onEnd);
    stdin.on("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    stderr.write(prompt);
    stdin.resume();
  });
}

function interrupted(): AppctlError {
  return new AppctlError({
    code: "INTERRUPTED",
    exit: ExitCode.interrupted,
    message: "Interrupted.",
  });
}

function cancelled(): AppctlError {
  return usageError("no value was given", {
    code: "CANCELLED",
    hint: "Ctrl-D on an empty line cancels; nothing was changed",
  });
}
