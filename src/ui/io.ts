/** What a command may touch of its process. Everything is passed in, so that tests need no process. */
import type { EarlyLoad } from "../app/early-load.ts";
import type { EventLines } from "./event-lines.ts";
import type { Input, Output } from "./streams.ts";

/** How results are printed. `url` is only the endpoint. */
export type OutputMode = "text" | "json" | "ndjson" | "url";

/** Every {@link OutputMode}. */
export const OUTPUT_MODES: readonly OutputMode[] = ["text", "json", "ndjson", "url"];

/** When to use colour. `auto`: when the stream is a terminal. */
export type ColorMode = "auto" | "always" | "never";

/** A command's surroundings. */
export interface Io {
  cwd: string;
  env: NodeJS.ProcessEnv;
  stdin: Input;
  stdout: Output;
  stderr: Output;
  /** Aborts when the user or the system asks the command to end; its reason is the error to end with. */
  signal: AbortSignal;
  /** Aborts when nobody reads stdout any more: what only prints ends then, quietly. */
  unread: AbortSignal;
  now(): Date;
  /** The words that start appctl, for commands to type next: `npx appctl`. */
  launcher: string;
  /** The lines of `-o ndjson`, numbered over the whole run. */
  lines: EventLines;
  /** The load of the file that the command names, which began before the command was understood. */
  loading?: EarlyLoad | undefined;
  /** Sends a message to the process that started this one, where there is a channel to it. */
  notify?: ((message: object) => void) | undefined;
}

/** True in a CI system: no prompt, no colour and no animation there unless asked for. */
export function isCi(env: NodeJS.ProcessEnv): boolean {
  const { CI } = env;
  return CI !== undefined && CI !== "" && CI !== "0" && CI.toLowerCase() !== "false";
}

/** True when a question can be asked: stdin is a terminal, and this is no CI system. */
export function canAsk(io: Pick<Io, "stdin" | "env">): boolean {
  return io.stdin.isTTY === true && io.stdin.setRawMode !== undefined && !isCi(io.env);
}

/** True when `stream` may be animated. */
export function canAnimate(stream: Output, env: NodeJS.ProcessEnv): boolean {
  // A terminal that says it has no columns (a bare pseudo-terminal) cannot be drawn on.
  return stream.isTTY === true && (stream.columns ?? 80) > 0 && !isCi(env) && env["TERM"] !== "dumb";
}
