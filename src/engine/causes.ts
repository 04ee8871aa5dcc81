/**
 * The catalogue of reasons for which a revision fails: from what was seen of a replica to a cause in words. Pure functions;
 * every engine reports the same codes.
 */
import type { AppSpec, FailureCause, LogLine } from "../contract/types.ts";
import { messageOf } from "../core/errors.ts";
import { SHIM_PREFIX, ShimExit } from "../serve/exits.ts";
import { type Denial, denialIn } from "./denial.ts";
import { findPrintedError, type PrintedError } from "./printed-error.ts";

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
  /** Directories to cut from paths in a stack. */
  roots: readonly string[];
}

/** Codes that the catalogue can give. */
export type FailureCode =
  | (typeof CATALOGUE)[number]["code"]
  | "IMAGE_UNREADABLE"
  | "SECRET_UNREADABLE"
  | "SECRET_NOT_TEXT"
  | "NO_BASE_IMAGE"
  | "IMAGE_NOT_LOADED"
  | "LIMIT_REFUSED"
  | "RUNTIME_UNAVAILABLE"
  | "SUPERSEDED"
  | "ENGINE_ERROR";

interface Entry {
  code: string;
  fits(seen: Seen): boolean;
  message(seen: Seen): string;
  hint(seen: Seen): string;
}

type Seen = FailureFacts & { stderr: string[]; error: PrintedError | undefined; denial: Denial | undefined };

/** What the files of a replica may take when its App says nothing. */
export const DEFAULT_STORAGE = "2Gi";

const LAST_LINES = 20;
const SHELL = "/bin/sh";
const LONGEST_LINE = 2000;

/** Ordered: the first entry that fits is the cause. */
const CATALOGUE = [
  {
    code: "OUT_OF_MEMORY",
    fits: ({ exit, stderr }) =>
      exit !== undefined && (exit.outOfMemory || stderr.some((line) => line.includes("JavaScript heap out of memory"))),
    message: ({ spec, exit }) =>
      exit?.outOfMemory
        ? `out of memory: it used more than its limit of ${spec.limits.mem ?? "memory"}`
        : "out of memory: the JavaScript heap is full",
    hint: ({ spec }) => `raise limits.mem${spec.limits.mem ? ` (now ${spec.limits.mem})` : ""}, or use less memory`,
  },
  {
    code: "OUT_OF_STORAGE",
    fits: ({ exit }) => exit?.outOfStorage === true,
    message: ({ spec }) => `its files took more than its limit of ${spec.limits.ephemeralStorage ?? DEFAULT_STORAGE}`,
    hint: () => "write less, or raise limits.ephemeralStorage; files of a replica go with it in any case",
  },
  {
    code: "ENVIRONMENT_TOO_LARGE",
    fits: ({ spawnError }) => spawnError === "E2BIG",
    message: () => "its environment variables are larger than the system allows (about 128 KiB for one)",
    hint: () => 'give the app large secrets as files: new Secret({ key, mount: "file" })',
  },
  {
    // Only a container is started through a shell for its secrets; see `docker/launch.ts`.
    code: "NO_SUCH_PROGRAM",
    fits: ({ spec, wasReady, missing, stderr }) =>
      !wasReady &&
      spec.kind === "args" &&
      spec.args?.[0] !== SHELL &&
      (missing === SHELL || programThatFailed(stderr) === SHELL),
    message: ({ spec }) =>
      `the image has no ${SHELL}, which a program needs to get secrets as variables: "${spec.args?.[0]}" was not started`,
    hint: () =>
      'mount the secrets as files: new Secret({ key, mount: "file" }); or name a base image with a shell, or start the program with "node"',
  },
  {
    code: "NO_SUCH_PROGRAM",
    fits: ({ spec, spawnError, exit, wasReady, stderr }) =>
      spawnError !== undefined ||
      (!wasReady &&
        (exit?.code === 127 || exit?.code === 126) &&
        (spec.kind === "command" || programThatFailed(stderr) !== undefined)),
    message: ({ spec, spawnError, exit, stderr }) => {
      if (spec.kind === "command") {
        const why = exit?.code === 126 ? "cannot be executed" : "was not found";
        return `a program of the command "${spec.command ?? ""}" ${why}${stderr.length > 0 ? `: ${stderr.at(-1)}` : ""}`;
      }
      const isMissing = spawnError === "ENOENT" || exit?.code === 127;
      const why = isMissing ? "was not found" : `cannot be executed${spawnError ? ` (${spawnError})` : ""}`;
      return `the program "${spec.args?.[0] ?? "node"}" ${why}`;
    },
    hint: ({ spec }) =>
      spec.kind === "framework"
        ? "the platform's Node binary is missing: restart the platform"
        : 'use a program that the image has; "node" is the platform\'s Node, and programs of packages are found by name',
  },
  {
    code: "MISSING_SECRET",
    fits: ({ exit }) => exit?.code === ShimExit.missingSecret,
    message: ({ stderr }) => shimLine(stderr) ?? "a secret that the app declares is not in its environment",
    hint: () => "create the secret, then deploy again",
  },
  {
    code: "NO_SUCH_APP",
    fits: ({ exit }) => exit?.code === ShimExit.noSuchApp,
    message: ({ stderr }) => shimLine(stderr) ?? "the bundle exports no App of that name",
    hint: () => "export the App from the file that is deployed, always under the same name",
  },
  {
    code: "NOT_SERVABLE",
    fits: ({ exit }) => exit?.code === ShimExit.notServable,
    message: ({ stderr }) => shimLine(stderr) ?? "the App's frameworkApp cannot answer HTTP",
    hint: () => "frameworkApp is an object with fetch(request), a (req, res) listener or a Fastify instance",
  },
  {
    code: "OTHER_PORT",
    fits: ({ exit, otherPorts }) => exit === undefined && otherPorts !== undefined && otherPorts.length > 0,
    message: ({ otherPorts, port }) =>
      `it listens on port ${otherPorts?.join(", ")}, not on ${port === undefined ? "the address it was given" : `$PORT (${port})`}`,
    hint: ({ spec }) =>
      spec.kind === "framework"
        ? "export the web app as frameworkApp and do not call listen() in the file"
        : "listen on the port in the environment variable PORT, for example: server.listen(process.env.PORT)",
  },
  {
    code: "NEVER_LISTENED",
    fits: ({ exit }) => exit === undefined,
    message: ({ spec, port }) =>
      `it did not answer within ${spec.startTimeout} s${port === undefined ? "" : ` on $PORT (${port})`}`,
    hint: ({ spec }) =>
      spec.kind === "framework"
        ? "something at the top level of the file never finishes, or GET / never answers; a slow start needs a longer startTimeout"
        : "listen on the port in the environment variable PORT; a slow start needs a longer startTimeout",
  },
  {
    code: "NOT_PERMITTED",
    fits: ({ exit, error, denial }) => error !== undefined && exit?.code === 1 && denial !== undefined,
    message: ({ denial }) => denial?.message ?? "",
    hint: ({ denial }) => denial?.hint ?? "",
  },
  {
    code: "APP_THREW",
    // 1 is the code with which Node leaves after an uncaught error; an error that was only printed explains other codes too.
    fits: ({ exit, error }) => error !== undefined && exit?.code === 1,
    message: ({ error }) => error?.headline ?? "",
    hint: ({ error, wasReady }) => hintForError(error?.headline ?? "", wasReady),
  },
  {
    code: "EXITED_ZERO",
    fits: ({ exit, wasReady }) => exit?.code === 0 && !wasReady,
    message: () => "it exited with code 0 before it was ready",
    hint: ({ spec }) =>
      spec.kind === "framework"
        ? "something in the file calls process.exit(): an app must keep running"
        : "the program ended by itself: it must keep running and listen on the port in PORT",
  },
  {
    code: "EXITED",
    fits: ({ exit }) => typeof exit?.code === "number",
    message: ({ exit, wasReady }) =>
      exit?.code === 13 && !wasReady
        ? "it exited with code 13: a top-level await never settled"
        : `it exited with code ${exit?.code}${wasReady ? "" : " before it was ready"}`,
    hint: ({ exit, wasReady, output }) =>
      exit?.code === 13 && !wasReady
        ? "find the await at the top level of the file whose promise nobody resolves"
        : output.length > 0
          ? "its last lines of output say more"
          : "it printed nothing: look for what calls process.exit(), or let it say why it ends",
  },
  {
    code: "KILLED",
    fits: ({ exit }) => typeof exit?.signal === "string",
    message: ({ exit, wasReady }) => `it was killed by ${exit?.signal}${wasReady ? "" : " before it was ready"}`,
    hint: () => "something outside appctl ended the process, or a native module crashed it",
  },
] as const satisfies readonly Entry[];

/** The cause of a replica's failure. */
export function explainFailure(facts: FailureFacts): FailureCause {
  const stderr = facts.output.filter((line) => line.stream === "stderr").map((line) => line.line);
  const error = findPrintedError(stderr, facts.roots);
  const seen: Seen = { ...facts, stderr, error, denial: denialIn(stderr, facts.spec.permissions) };
  const entries: readonly Entry[] = CATALOGUE;
  const entry = entries.find((candidate) => candidate.fits(seen));
  if (!entry) return engineError("the replica ended in a way that nothing describes", facts.output);
  const { exit } = seen;
  const code = entry.code;
  // An error printed while the program ran on explains its end only when the program then ended by itself.
  const blame =
    code === "APP_THREW" || code === "NOT_PERMITTED" || code === "EXITED" || code === "EXITED_ZERO" ? error : undefined;
  return {
    code,
    message: entry.message(seen),
    hint: entry.hint(seen),
    ...(typeof exit?.code === "number" ? { exitCode: exit.code } : {}),
    ...(exit?.signal ? { signal: exit.signal } : {}),
    ...(blame && blame.stack.length > 0 ? { stack: blame.stack } : {}),
    ...(blame?.location ? { location: blame.location } : {}),
    logs: lastLines(facts.output),
  };
}

/** The revision's image could not be made ready. */
export function imageUnreadable(digest: string, error: unknown): FailureCause {
  return {
    code: "IMAGE_UNREADABLE",
    message: `the image ${digest} cannot be unpacked: ${messageOf(error)}`,
    hint: "deploy again: what is missing or damaged is uploaded anew",
  };
}

/** A secret's stored value could not be read. */
export function secretUnreadable(key: string, version: number, error: unknown): FailureCause {
  return {
    code: "SECRET_UNREADABLE",
    message: `version ${version} of the secret ${key} cannot be read: ${messageOf(error)}`,
    hint: `write it again: appctl update secret ${key}`,
  };
}

/** A secret's bytes do not fit into an environment variable. */
export function secretNotText(key: string): FailureCause {
  return {
    code: "SECRET_NOT_TEXT",
    message: `the secret ${key} holds bytes that no environment variable can carry`,
    hint: 'give the app its bytes as a file: new Secret({ key, mount: "file" })',
  };
}

/** Another state was wanted before the revision was ready. */
export function superseded(revision: string): FailureCause {
  return {
    code: "SUPERSEDED",
    message: `revision ${revision} was taken back before it was ready`,
    hint: "another deploy, a stop or a delete of the app came in between",
  };
}

/** The engine itself failed. */
export function engineError(error: unknown, output: readonly LogLine[] = []): FailureCause {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return {
    code: "ENGINE_ERROR",
    message: `the platform could not run it: ${isFull ? "there is no space left on its disk: " : ""}${messageOf(error)}`,
    hint: isFull ? "free some space there, then deploy again" : "see appctl platform logs",
    ...(output.length > 0 ? { logs: lastLines(output) } : {}),
  };
}

function lastLines(output: readonly LogLine[]): LogLine[] {
  return output
    .slice(-LAST_LINES)
    .map((line) =>
      line.line.length > LONGEST_LINE ? { ...line, line: `${line.line.slice(0, LONGEST_LINE)}…` } : line,
    );
}

/** The program of which a container's first process (tini) says that it could not start it. */
function programThatFailed(stderr: readonly string[]): string | undefined {
  for (const line of stderr) {
    const said = /^\[FATAL tini \(\d+\)\] exec (.*) failed/.exec(line);
    if (said) return said[1];
  }
  return undefined;
}

function shimLine(stderr: readonly string[]): string | undefined {
  return stderr.findLast((line) => line.startsWith(SHIM_PREFIX))?.slice(SHIM_PREFIX.length);
}

function hintForError(headline: string, wasReady: boolean): string {
  if (/\bEADDRINUSE\b/.test(headline)) {
    return "the app listens on a port of its own that is taken: export the web app as frameworkApp, or listen on $PORT";
  }
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec(headline)?.[1];
  if (missing) return `"${missing}" is not in the image: install it in your project, or list it in ImageSpec.packages`;
  if (/\b(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)\b/.test(headline)) {
    return "something that the app connects to when it starts does not answer: check its address";
  }
  return wasReady ? "nothing in the app caught this error" : "the file threw this while it was loaded";
}
