import { hintWithTarget, type Target, withLauncher, withTarget } from "../core/command-line.ts";
import {
  type AppctlError,
  type DeployFacts,
  ExitCode,
  type Fault,
  isAppctlError,
  messageOf,
  type SourceLocation,
} from "../core/errors.ts";
import { codeFrame } from "./code-frame.ts";
import { cutToWidth, plainLine, plainLines } from "./plain-text.ts";
import type { Style } from "./style.ts";

/** An error as `-o json` and `-o ndjson` print it. */
export interface FailureObject extends DeployFacts {
  code: string;
  message: string;
  hint: string | null;
  next: string[];
  exitCode: number;
  faults?: Fault[];
  location?: AppctlError["location"];
  /** Frames in the user's code, innermost first. */
  stack?: string[];
  /** Last lines of the app's output. */
  logs?: AppctlError["logs"];
  details?: string[];
}

/** What {@link failureLines} may use. */
export interface FailureOptions {
  style: Style;
  /** Folder that the places of a fault are relative to. */
  cwd: string;
  /** Also show the stack and the causes of an error that is no bug. */
  verbose: boolean;
  /** Flags that the commands to type next need. */
  target?: Target;
  /** The words that start appctl in them; default `appctl`. */
  launcher?: string;
}

/** The exit code of `error`: its own, or 70 for an error that appctl did not expect. */
export function exitCodeOf(error: unknown): number {
  return isAppctlError(error) ? error.exit : ExitCode.bug;
}

/** `error` as plain data. `target`: flags that its next commands need; `launcher`: the words that start appctl in them. */
export function failureObject(error: unknown, target: Target = [], launcher = "appctl"): FailureObject {
  const hintOf = (hint: string) => withLauncher(hintWithTarget(hint, target), launcher);
  if (!isAppctlError(error)) {
    return {
      code: "BUG",
      message: `appctl failed unexpectedly: ${messageOf(error)}`,
      hint: BUG_HINT,
      next: [],
      exitCode: ExitCode.bug,
      details: stackOf(error),
    };
  }
  return {
    code: error.code,
    message: error.message,
    hint: error.hint === undefined ? null : hintOf(error.hint),
    next: error.next.map((command) => withLauncher(withTarget(command, target), launcher)),
    exitCode: error.exit,
    ...error.deploy,
    ...(error.faults.length > 0
      ? {
          faults: error.faults.map((fault) =>
            fault.hint === undefined ? fault : { ...fault, hint: hintOf(fault.hint) },
          ),
        }
      : {}),
    ...(error.location ? { location: error.location } : {}),
    ...(error.frames ? { stack: error.frames } : {}),
    ...(error.logs ? { logs: error.logs } : {}),
    ...(error.details.length > 0 ? { details: error.details } : {}),
  };
}

/** Longest line of a message or of an app's output that is shown, in columns. */
const LONGEST_LINE = 500;

const BUG_HINT = "this is a bug in appctl, not in your app; please report it with the lines above";

/** `error` for a person, as lines: what, where, why, and what to type next. */
export function failureLines(error: unknown, { style, cwd, verbose, target, launcher }: FailureOptions): string[] {
  const failure = failureObject(error, target, launcher);
  const lines = [...headline(failure, style)];
  // Faults with places of their own make the error's place one of them.
  const placed = failure.faults?.some(({ location }) => location) ?? false;
  if (failure.location && !placed) lines.push(...codeFrame(failure.location, cwd, style));
  const isOnly = failure.faults?.length === 1;
  for (const fault of failure.faults ?? []) {
    const below = belowFault(fault, cwd, style);
    // What the headline says of the only fault need not be repeated, but for where it is.
    const text = isOnly ? unsaidText(fault, failure.message, style) : [faultText(fault, style)];
    if (text.length + below.length > 0) lines.push("", ...text, ...below);
  }
  lines.push(...frameLines(failure), ...logLines(failure));
  if (failure.details) lines.push("", ...failure.details.flatMap(plainLines).map((line) => (line ? `  ${line}` : "")));
  if (verbose && isAppctlError(error))
    lines.push("", ...stackOf(error).map((line) => style.dim(`  ${plainLine(line)}`)));
  const isLong = lines.length > 1;
  if (failure.hint && !isHinted(failure))
    lines.push(...(isLong ? [""] : []), `${style.yellow("hint:")} ${plainLine(failure.hint)}`);
  const now = servingText(failure);
  if (now) lines.push(`${style.yellow("now:")} ${now}`);
  if (failure.next.length > 0) {
    const commands = failure.next.map((command) => `  ${style.cyan(plainLine(command))}`);
    lines.push(
      ...(isLong && !now && (!failure.hint || isHinted(failure)) ? [""] : []),
      style.yellow("next:"),
      ...commands,
    );
  }
  return lines;
}

function placeText({ file, line, column }: SourceLocation): string {
  return `${file}:${line}:${column}`;
}

/** The stack, unless it is the one place that is shown already. */
function frameLines({ stack = [], location }: FailureObject): string[] {
  const [only = "", ...more] = stack;
  if (only === "" || (more.length === 0 && location && only.includes(placeText(location)))) return [];
  return ["", ...stack.map((frame) => `    ${plainLine(frame)}`)];
}

function logLines({ logs = [] }: FailureObject): string[] {
  if (logs.length === 0) return [];
  return [
    "",
    "  Last lines of its output:",
    ...logs.map(({ line }) => `    ${cutToWidth(plainLine(line), LONGEST_LINE)}`),
  ];
}

/** What serves after a deploy that failed. */
function servingText({ serving, revision }: FailureObject): string | undefined {
  if (serving === undefined || (serving !== null && serving === revision)) return undefined;
  return serving === null ? "nothing serves" : `revision ${plainLine(serving)} still serves`;
}

function headline({ code, message, exitCode }: FailureObject, style: Style): string[] {
  const [first = code, ...rest] = plainLines(message).map((line) => cutToWidth(line, LONGEST_LINE));
  // Who pressed Ctrl-C knows that this is no error.
  if (exitCode === ExitCode.interrupted || exitCode === ExitCode.terminated) return [first, ...rest];
  return [`${style.red("Error:")} ${style.bold(first)}`, ...rest];
}

/** True when the hint is printed below the only fault that it is about. */
function isHinted({ hint, faults }: FailureObject): boolean {
  return faults?.some((fault) => fault.hint === hint) ?? false;
}

function faultText({ path, message }: Fault, style: Style): string {
  return `  ${style.bold(plainLine(path))}: ${plainLine(message)}`;
}

/** What `headline` does not say of its only fault. */
function unsaidText(fault: Fault, headline: string, style: Style): string[] {
  const { path, message, location } = fault;
  const isPlace = location !== undefined && path === placeText(location);
  const forms = [`${path}: ${message}`, `${path} ${message}`, ...(isPlace ? [message] : [])];
  if (forms.some((form) => headline === form || headline.endsWith(`: ${form}`))) return [];
  return [headline === message ? `  ${style.bold(plainLine(path))}` : faultText(fault, style)];
}

function belowFault({ location, hint }: Fault, cwd: string, style: Style): string[] {
  return [
    ...(location ? codeFrame(location, cwd, style).map((line) => `  ${line}`) : []),
    ...(hint ? [`  ${style.yellow("hint:")} ${plainLine(hint)}`] : []),
  ];
}

/** The stack of an error and of what caused it. */
function stackOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const stackLines = (error.stack ?? error.message).split("\n");
  if (error.cause === undefined || depth >= 8) return stackLines;
  const [first = "", ...rest] = stackOf(error.cause, depth + 1);
  return [...stackLines, `caused by ${first}`, ...rest];
}
