/**
 * The one error type of appctl. It is known by a brand (`Symbol.for`), not by class, because a user's file may load a
 * second copy of the package. It is printed once, at the process edge.
 */

const BRAND = Symbol.for("appctl.error");

/** Process exit codes. They are a public contract: see "Exit codes" in the README. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  auth: 3,
  notFound: 4,
  conflict: 5,
  unavailable: 6,
  build: 7,
  timeout: 8,
  bug: 70,
  interrupted: 130,
  terminated: 143,
} as const;

/** What each exit code means, for help and reference. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof ExitCode, string>> = {
  ok: "success",
  failed: "the deploy failed",
  usage: "wrong usage or invalid input",
  auth: "not authenticated or not allowed",
  notFound: "not found",
  conflict: "conflict",
  unavailable: "unavailable, try again",
  build: "the build failed",
  timeout: "timed out, result unknown",
  bug: "a bug in appctl",
  interrupted: "interrupted",
  terminated: "terminated",
};

/** One of the values of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A place in the user's own code. `file` is as the user would type it; `line` and `column` count from 1. */
export interface SourceLocation {
  file: string;
  line: number;
  column: number;
  /** The text of that line, without its line end, when it could be read. */
  lineText?: string;
}

/** One thing that is wrong with an input. `path` names the field (`limits.mem`, `secrets[0].key`). */
export interface Fault {
  path: string;
  message: string;
  hint?: string;
  location?: SourceLocation;
}

/** What a failed deploy is about, as far as it is known. */
export interface DeployFacts {
  app?: string | undefined;
  project?: string;
  domain?: string;
  revision?: string;
  deployment?: number;
  consoleUrl?: string;
  /** Revision that serves now; null when none does. */
  serving?: string | null | undefined;
}

/** What an {@link AppctlError} is made of. */
export interface ErrorDetails {
  /** Stable machine-readable name in UPPER_SNAKE_CASE. */
  code: string;
  /** What happened, in one sentence. */
  message: string;
  exit: ExitCode;
  /** Why, or what to do about it. */
  hint?: string;
  /** Commands that the user can type next. */
  next?: string[];
  /** Every fault of the input, when the input is to blame. */
  faults?: Fault[];
  location?: SourceLocation;
  /** Frames in the user's code, innermost first: `at name (file:line:column)`. */
  frames?: string[];
  /** Last lines of the app's output, as far as they say something else. */
  logs?: readonly { line: string }[];
  /** Further lines for a person. */
  details?: string[];
  cause?: unknown;
}

/** An error that a person can act on: a stable code, a sentence, a hint, next commands and an exit code. */
export class AppctlError extends Error {
  readonly code: string;
  readonly exit: ExitCode;
  readonly hint: string | undefined;
  readonly next: string[];
  readonly faults: Fault[];
  readonly location: SourceLocation | undefined;
  readonly frames: string[] | undefined;
  readonly logs: readonly { line: string }[] | undefined;
  readonly details: string[];
  /** See {@link withDeployFacts}. */
  deploy: DeployFacts = {};

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "AppctlError";
    this.code = details.code;
    this.exit = details.exit;
    this.hint = details.hint;
    this.next = details.next ?? [];
    this.faults = details.faults ?? [];
    this.location = details.location;
    this.frames = details.frames;
    this.logs = details.logs;
    this.details = details.details ?? [];
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for an {@link AppctlError} of any copy of this package. */
export function isAppctlError(value: unknown): value is AppctlError {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/** Adds to an error of a deploy what it is about. What is known closer to the error wins. */
export function withDeployFacts<E>(error: E, facts: DeployFacts): E {
  if (isAppctlError(error)) error.deploy = { ...facts, ...error.deploy };
  return error;
}

/** A usage error (exit 2): the input is to blame and nothing was changed. */
export function usageError(message: string, more: Partial<ErrorDetails> = {}): AppctlError {
  return new AppctlError({ code: "USAGE", exit: ExitCode.usage, message, ...more });
}

/** The text of any thrown value, for a message. */
export function messageOf(value: unknown): string {
  return value instanceof Error ? value.message : String(value);
}
