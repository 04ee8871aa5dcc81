import type { ExitCode } from "../../core/errors.ts";
import type { Io, OutputMode } from "../../ui/io.ts";

/** A flag of a command, as data. */
export interface Flag {
  /** As it is typed: `-y, --yes`, `--name <name>`, `--no-wait`. */
  usage: string;
  /** A verb phrase or a noun phrase, with the default. */
  summary: string;
  /** It may be given several times; its value is a list. */
  repeatable?: true;
  /** The only values that it takes. */
  choices?: readonly string[];
  /** It takes a whole number from the first to the second. */
  range?: readonly [min: number, max: number];
}

/** An argument of a command: `<file>`, or `[name]` for one that may be left out. */
export interface Argument {
  usage: `<${string}>` | `[${string}]`;
  summary: string;
}

/** What runs a command: gets its flags, with those before the verb, and its arguments in order. */
// biome-ignore lint/suspicious/noExplicitAny: each handler has flags of its own, which its row makes
export type Handler = (io: Io, flags: any, args: (string | undefined)[]) => Promise<void>;

/** A command, as data: help, the command tree, completion and the reference are made from it. */
export interface CommandRow {
  /** The words that it is called by: `deploy apps`. */
  words: string;
  /** Other last words: `app`. */
  aliases?: readonly string[];
  /** A verb phrase: `deploy an app of a file and wait until it serves`. */
  summary: string;
  arguments?: readonly Argument[];
  flags?: readonly Flag[];
  /** What `-o` takes, text first. */
  outputs: readonly OutputMode[];
  /** Whole command lines. */
  examples: readonly [string, ...string[]];
  /** Exit codes besides 0, 2, 70, 130 and 143, which every command has. */
  exitCodes: readonly ExitCode[];
  /** Not shown in help. */
  hidden?: true;
  /** Loads the handler, when the command runs. */
  load(): Promise<Handler>;
}

/** Names a row, so that its literals are checked where they are written. */
export function command(row: CommandRow): CommandRow {
  return row;
}
