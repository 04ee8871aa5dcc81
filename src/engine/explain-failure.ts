/** From what was seen of a replica that failed to its cause. Pure functions; every engine reports the same codes. */
import type { AppSpec, FailureCause, LogLine } from "../contract/types.ts";
import { SHIM_PREFIX, ShimExit } from "../serve/exits.ts";
import { type CauseName, causeOf, engineError } from "./causes.ts";
import { type Denial, denialIn } from "./denial.ts";
import { findPrintedError, isForeignFrame, type PrintedError } from "./printed-error.ts";
import { withProjectPaths } from "./project-paths.ts";

/** What was seen of a replica that failed. */
export interface FailureFacts {
  spec: Pick<AppSpec, "kind" | "args" | "command" | "startTimeout" | "limits" | "permissions">;
  /** How it ended; undefined while it runs. */
  exit?: { code: number | null; signal: string | null; outOfMemory: boolean; outOfStorage?: boolean };
  /** It had been ready before. */
  wasReady: boolean;
  /** The program could not be started at all: the system's error code, for example `ENOENT`. */
  spawnError?: string;
  /** The program of which the engine says that it is missing, when it says one. */
  missing?: string;
  /** TCP ports on which it listened, when that is why it is given up. */
  otherPorts?: number[];
  /** The port that it was given in `PORT`. */
  port?: number;
  /** The last lines of its output. */
  output: readonly LogLine[];
  /** Directories of the content, to cut from paths. */
  roots: readonly string[];
  /** Other directories of the replica, with the names that they have for the app: `$HOME`. */
  names?: Readonly<Record<string, string>> | undefined;
}

/** What the files of a replica may take when its App says nothing. */
export const DEFAULT_STORAGE = "2Gi";

const LAST_LINES = 20;
const SHELL = "/bin/sh";
const LONGEST_LINE = 2000;
/** Longest message of an app's own error, in characters and in lines. */
const LONGEST_MESSAGE = 1000;
const MOST_LINES = 12;
const MOST_FRAMES = 12;
/** Lines that say nothing: empty ones, and what Node prints as the last. */
const SILENT = /^\s*$|^Node\.js v\d/;
/** What is no package: a path, or the name of a file. */
const FILE = /^[./]|^file:|\.(?:[cm]?[jt]s|[jt]sx|json|node)$/;

type Seen = FailureFacts & { stderr: string[]; error: PrintedError | undefined; denial: Denial | undefined };

/** The cause of a replica's failure. */
export function explainFailure(facts: FailureFacts): FailureCause {
  const output = facts.output.map((line) => ({ ...line, line: withProjectPaths(line.line, facts.roots, facts.names) }));
  const stderr = output.filter(({ stream }) => stream === "stderr").map(({ line }) => line);
  const error = findPrintedError(stderr);
  const seen: Seen = { ...facts, output, stderr, error, denial: denialIn(stderr, facts.spec.permissions) };
  const cause = explainLimitOrStart(seen) ?? explainShim(seen) ?? explainGivenUp(seen) ?? explainEnd(seen);
  const { exit } = seen;
  const reportedError = cause.code === "APP_THREW" || cause.code === "NOT_PERMITTED" ? error : undefined;
  // An error printed while the program ran on explains its end only when the program then ended by itself.
  const locatedError = cause.code === "EXITED" || cause.code === "EXITED_ZERO" ? error : reportedError;
  return {
    ...cause,
    ...(typeof exit?.code === "number" ? { exitCode: exit.code } : {}),
    ...(exit?.signal ? { signal: exit.signal } : {}),
    ...(reportedError && reportedError.frames.length > 0 ? { stack: reportedError.frames.slice(0, MOST_FRAMES) } : {}),
    ...(locatedError?.location ? { location: locatedError.location } : {}),
    logs: linesNextTo(cause, output, reportedError),
  };
}

/** It was ended by a limit, or never came to run its own code. */
function explainLimitOrStart(seen: Seen): FailureCause | undefined {
  const { spec, exit, stderr, spawnError, wasReady, missing } = seen;
  const { mem, ephemeralStorage = DEFAULT_STORAGE } = spec.limits;
  if (exit?.outOfMemory) return mem ? causeOf("memoryLimit", { limit: mem }) : causeOf("memoryOfMachine");
  if (exit && stderr.some((line) => line.includes("JavaScript heap out of memory"))) return causeOf("heap");
  if (exit?.outOfStorage) return causeOf("storageLimit", { limit: ephemeralStorage });
  if (spawnError === "E2BIG") return causeOf("environmentTooLarge");
  const program = spec.args?.[0] ?? "node";
  const failedProgram = programThatFailed(stderr);
  // Only a container is started through a shell for its secrets; see `docker/launch-command.ts`.
  if (!wasReady && spec.kind === "args" && program !== SHELL && (missing === SHELL || failedProgram === SHELL)) {
    return causeOf("shellMissing", { shell: SHELL, program });
  }
  const isMissing = spawnError === "ENOENT" || exit?.code === 127;
  const isShellCode = !wasReady && (exit?.code === 127 || exit?.code === 126);
  const why = isMissing ? "was not found" : `cannot be executed${spawnError ? ` (${spawnError})` : ""}`;
  if (spec.kind === "command" && (spawnError !== undefined || isShellCode)) {
    const lastLine = stderr.length > 0 ? `: ${stderr.at(-1)}` : "";
    return causeOf("commandFailed", { command: spec.command ?? "", why: why + lastLine });
  }
  if (spawnError === undefined && !(isShellCode && failedProgram !== undefined)) return undefined;
  return spec.kind === "framework" ? causeOf("nodeMissing", { why }) : causeOf("programFailed", { program, why });
}

/** The server shim ended it, and said why. */
function explainShim({ exit, stderr }: Seen): FailureCause | undefined {
  const message = stderr.findLast((line) => line.startsWith(SHIM_PREFIX))?.slice(SHIM_PREFIX.length);
  switch (exit?.code) {
    case ShimExit.missingSecret:
      return causeOf("missingSecret", {
        shimMessage: message ?? "a secret that the app declares is not in its environment",
      });
    case ShimExit.noSuchApp:
      return causeOf("noSuchApp", { shimMessage: message ?? "the bundle exports no App of that name" });
    case ShimExit.notServable:
      return causeOf("notServable", { shimMessage: message ?? "the App's frameworkApp cannot answer HTTP" });
    default:
      return undefined;
  }
}

/** The platform gave it up while it ran. */
function explainGivenUp({ exit, otherPorts, port, spec }: Seen): FailureCause | undefined {
  if (exit) return undefined;
  const isFramework = spec.kind === "framework";
  if (otherPorts !== undefined && otherPorts.length > 0) {
    const wanted = port === undefined ? "the address it was given" : `$PORT (${port})`;
    return causeOf(isFramework ? "otherPortOfFramework" : "otherPort", { ports: otherPorts.join(", "), wanted });
  }
  const place = port === undefined ? "" : ` on $PORT (${port})`;
  return causeOf(isFramework ? "neverAnswered" : "neverListened", { seconds: spec.startTimeout, place });
}

/** It ended by itself, or by a signal. */
function explainEnd({ exit, error, denial, wasReady, spec, output }: Seen): FailureCause {
  const when = wasReady ? "" : " before it was ready";
  // 1 is the code with which Node leaves after an uncaught error; an error that was only printed explains other codes too.
  if (error && exit?.code === 1) {
    return denial
      ? causeOf("denied", { refusal: denial.message, remedy: denial.hint })
      : explainThrown(boundMessage([error.headline, ...error.more]), error.headline, wasReady);
  }
  if (exit?.code === 0 && !wasReady) return causeOf(spec.kind === "framework" ? "exitedZeroOfFramework" : "exitedZero");
  if (exit?.code === 13 && !wasReady) return causeOf("unsettled");
  if (typeof exit?.code === "number") {
    return causeOf(output.length > 0 ? "exited" : "exitedSilently", { exitCode: exit.code, when });
  }
  if (typeof exit?.signal === "string") return causeOf("killed", { signal: exit.signal, when });
  return engineError("the replica ended in a way that nothing describes");
}

function explainThrown(message: string, headline: string, wasReady: boolean): FailureCause {
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec(headline)?.[1];
  if (missing && FILE.test(missing)) return causeOf("fileMissing", { error: message, file: missing });
  if (missing) return causeOf("packageMissing", { error: message, package: missing });
  let name: CauseName & ("portTaken" | "serviceAway" | "threwLater" | "threwAtStart") = "threwAtStart";
  if (/\bEADDRINUSE\b/.test(headline)) name = "portTaken";
  else if (/\b(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)\b/.test(headline)) name = "serviceAway";
  else if (wasReady) name = "threwLater";
  return causeOf(name, { error: message });
}

/** A message of several lines within its bounds. */
function boundMessage(lines: readonly string[]): string {
  const text = lines.slice(0, MOST_LINES).join("\n");
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}

/** The last lines of output that say something that `cause` does not. `error` is what the cause tells of. */
function linesNextTo(cause: FailureCause, output: readonly LogLine[], error: PrintedError | undefined): LogLine[] {
  let at = -1;
  const rest = output.filter(({ stream, line }) => {
    if (stream === "stderr") at++;
    const isOfError = stream === "stderr" && error !== undefined && at >= error.from && at < error.to;
    return !isOfError && !isForeignFrame(line) && !SILENT.test(line) && line !== SHIM_PREFIX + cause.message;
  });
  return rest
    .slice(-LAST_LINES)
    .map((line) =>
      line.line.length > LONGEST_LINE ? { ...line, line: `${line.line.slice(0, LONGEST_LINE)}…` } : line,
    );
}

/** The program of which a container's first process (tini) says that it could not start it. */
function programThatFailed(stderr: readonly string[]): string | undefined {
  for (const line of stderr) {
    const match = /^\[FATAL tini \(\d+\)\] exec (.*) failed/.exec(line);
    if (match) return match[1];
  }
  return undefined;
}
