/**
 * The causes for which a revision fails, as one table: every engine and the platform take code and words from here.
 * `explain-failure.ts` finds the cause of a replica's end.
 */
import type { FailureCause } from "../contract/types.ts";
import { ExitCode, messageOf } from "../core/errors.ts";

/** One row of {@link CAUSES}. `{name}` in a text is replaced by a value when it happens. */
export interface CauseRow {
  /** Stable name in UPPER_SNAKE_CASE. Rows that share one differ in words. */
  code: string;
  message: string;
  hint: string;
  /** Exit code of the command that waits for the deploy. */
  exit: ExitCode;
  /** What happened, for the reference. */
  docs: string;
}

const exit = ExitCode.failed;

/** Every cause. */
export const CAUSES = {
  memoryLimit: {
    code: "OUT_OF_MEMORY",
    message: "out of memory: it used more than its limit of {limit}",
    hint: "raise limits.mem (now {limit}), or use less memory",
    exit,
    docs: "The replica used more memory than `limits.mem` allows.",
  },
  memoryOfMachine: {
    code: "OUT_OF_MEMORY",
    message: "out of memory: the machine had no memory left for it",
    hint: "set limits.mem, or use less memory",
    exit,
    docs: "The machine has no memory left.",
  },
  heap: {
    code: "OUT_OF_MEMORY",
    message: "out of memory: the JavaScript heap is full",
    hint: "raise limits.mem, or use less memory",
    exit,
    docs: "The JavaScript heap is full.",
  },
  storageLimit: {
    code: "OUT_OF_STORAGE",
    message: "its files took more than its limit of {limit}",
    hint: "write less, or raise limits.ephemeralStorage; the files of a replica go with it in any case",
    exit,
    docs: "The replica's files took more than `limits.ephemeralStorage` allows.",
  },
  environmentTooLarge: {
    code: "ENVIRONMENT_TOO_LARGE",
    message: "its environment variables are larger than the system allows (about 128 KiB for one)",
    hint: 'give the app large secrets as files: new Secret({ key, mount: "file" })',
    exit,
    docs: "The environment variables are larger than the system allows.",
  },
  programFailed: {
    code: "NO_SUCH_PROGRAM",
    message: 'the program "{program}" {why}',
    hint: 'use a program that the image has; "node" is the platform\'s Node, and programs of packages are found by name',
    exit,
    docs: "The program of `args` was not found, or cannot be executed.",
  },
  commandFailed: {
    code: "NO_SUCH_PROGRAM",
    message: 'a program of the command "{command}" {why}',
    hint: 'use a program that the image has; "node" is the platform\'s Node, and programs of packages are found by name',
    exit,
    docs: "A program of `command` was not found, or cannot be executed.",
  },
  shellMissing: {
    code: "NO_SUCH_PROGRAM",
    message: 'the image has no {shell}, which a program needs to get secrets as variables: "{program}" was not started',
    hint: 'mount the secrets as files: new Secret({ key, mount: "file" }); or name a base image with a shell, or start the program with "node"',
    exit,
    docs: "Secrets as variables need a shell, and the image has none.",
  },
  nodeMissing: {
    code: "NO_SUCH_PROGRAM",
    message: 'the program "node" {why}',
    hint: "the platform's Node binary is missing: restart the platform",
    exit,
    docs: "The platform's own Node binary is missing.",
  },
  missingSecret: {
    code: "MISSING_SECRET",
    message: "{shimMessage}",
    hint: "create the secret, then deploy again",
    exit,
    docs: "A secret that the App declares is not in its environment.",
  },
  noSuchApp: {
    code: "NO_SUCH_APP",
    message: "{shimMessage}",
    hint: "export the App from the file that is deployed, always under the same name",
    exit,
    docs: "The bundle exports no App of that name when it runs.",
  },
  notServable: {
    code: "NOT_SERVABLE",
    message: "{shimMessage}",
    hint: "frameworkApp is an object with fetch(request), a (req, res) listener or a Fastify instance",
    exit,
    docs: "The `frameworkApp` cannot answer HTTP.",
  },
  otherPort: {
    code: "OTHER_PORT",
    message: "it listens on port {ports}, not on {wanted}",
    hint: "listen on the port in the environment variable PORT, for example: server.listen(process.env.PORT)",
    exit,
    docs: "The program listens on another port than `$PORT`.",
  },
  otherPortOfFramework: {
    code: "OTHER_PORT",
    message: "it listens on port {ports}, not on {wanted}",
    hint: "export the web app as frameworkApp and do not call listen() in the file",
    exit,
    docs: "The file calls `listen()` itself.",
  },
  neverAnswered: {
    code: "NEVER_LISTENED",
    message: "it did not answer within {seconds} s{place}",
    hint: "something at the top level of the file never finishes, or GET / never answers; a slow start needs a longer startTimeout",
    exit,
    docs: "The app did not answer within `startTimeout`.",
  },
  neverListened: {
    code: "NEVER_LISTENED",
    message: "it did not answer within {seconds} s{place}",
    hint: "listen on the port in the environment variable PORT; a slow start needs a longer startTimeout",
    exit,
    docs: "The program did not answer on `$PORT` within `startTimeout`.",
  },
  denied: {
    code: "NOT_PERMITTED",
    message: "{refusal}",
    hint: "{remedy}",
    exit,
    docs: "Node's permission model refused the app something. The hint says how to allow it.",
  },
  widerOptions: {
    code: "NOT_PERMITTED",
    message: "NODE_OPTIONS changes what it may do ({option}…)",
    hint: 'take it out of NODE_OPTIONS; the App says what it may do: permissions: ["child-process", "worker", "addons"]',
    exit,
    docs: "`NODE_OPTIONS` must not change what the app may do.",
  },
  threwAtStart: {
    code: "APP_THREW",
    message: "{error}",
    hint: "the app threw this error while it started",
    exit,
    docs: "The app threw an error while it started.",
  },
  threwLater: {
    code: "APP_THREW",
    message: "{error}",
    hint: "nothing in the app caught this error",
    exit,
    docs: "Nothing in the app caught an error.",
  },
  portTaken: {
    code: "APP_THREW",
    message: "{error}",
    hint: "the app listens on a port that is taken: export the web app as frameworkApp, or listen on $PORT",
    exit,
    docs: "The app listens on a port that is taken.",
  },
  packageMissing: {
    code: "APP_THREW",
    message: "{error}",
    hint: '"{package}" is not in the image: install it in your project, or list it in ImageSpec.packages',
    exit,
    docs: "The app imports a package that is not in the image.",
  },
  fileMissing: {
    code: "APP_THREW",
    message: "{error}",
    hint: '"{file}" is not in the image: list it in the App\'s include',
    exit,
    docs: "The app loads a file that is not in the image.",
  },
  serviceAway: {
    code: "APP_THREW",
    message: "{error}",
    hint: "something that the app connects to when it starts does not answer: check its address",
    exit,
    docs: "Something that the app connects to does not answer.",
  },
  exitedZero: {
    code: "EXITED_ZERO",
    message: "it exited with code 0 before it was ready",
    hint: "the program ended by itself: it must keep running and listen on the port in PORT",
    exit,
    docs: "The program exited with code 0 before it was ready.",
  },
  exitedZeroOfFramework: {
    code: "EXITED_ZERO",
    message: "it exited with code 0 before it was ready",
    hint: "something in the file calls process.exit(): an app must keep running",
    exit,
    docs: "The file calls `process.exit()`.",
  },
  exited: {
    code: "EXITED",
    message: "it exited with code {exitCode}{when}",
    hint: "the last lines of its output have the reason",
    exit,
    docs: "The program exited with a code other than 0.",
  },
  unsettled: {
    code: "EXITED",
    message: "it exited with code 13: a top-level await never settled",
    hint: "find the await at the top level of the file whose promise never resolves",
    exit,
    docs: "A top-level `await` never settled.",
  },
  exitedSilently: {
    code: "EXITED",
    message: "it exited with code {exitCode}{when}",
    hint: "it printed nothing: look for process.exit(), or print the reason",
    exit,
    docs: "It printed nothing.",
  },
  killed: {
    code: "KILLED",
    message: "it was killed by {signal}{when}",
    hint: "something outside appctl ended the process, or a native module crashed it",
    exit,
    docs: "A signal ended the process.",
  },
  imageUnreadable: {
    code: "IMAGE_UNREADABLE",
    message: "the image {digest} cannot be unpacked: {error}",
    hint: "deploy again: appctl uploads what is missing or damaged",
    exit,
    docs: "The image is damaged, or appctl did not build it.",
  },
  noBaseImage: {
    code: "NO_BASE_IMAGE",
    message: "its image has no base, so there is no Node in it that a container could run",
    hint: 'name a base image that has Node: new ImageSpec({ …, baseImage: "node:24-slim" })',
    exit,
    docs: "Runtime `docker`: the image has no base with Node in it.",
  },
  imageNotLoaded: {
    code: "IMAGE_NOT_LOADED",
    message: "the container engine could not load the image {digest}: {error}",
    hint: "deploy again: appctl uploads what is missing or damaged",
    exit,
    docs: "Runtime `docker`: the container engine did not load the image.",
  },
  imageDiskFull: {
    code: "IMAGE_NOT_LOADED",
    message: "the container engine could not load the image {digest}: {error}",
    hint: "the engine's disk is full: make room, for example with docker system prune",
    exit,
    docs: "Its disk is full.",
  },
  limitRefused: {
    code: "LIMIT_REFUSED",
    message: "the container engine refuses the limits: {error}",
    hint: "raise limits.mem",
    exit,
    docs: "Runtime `docker`: the container engine refuses a limit.",
  },
  runtimeUnavailable: {
    code: "RUNTIME_UNAVAILABLE",
    message: "the container engine does not answer: {error}",
    hint: "start it; the platform then restarts the apps that served before",
    exit,
    docs: "Runtime `docker`: the container engine does not answer.",
  },
  secretUnreadable: {
    code: "SECRET_UNREADABLE",
    message: "version {version} of the secret {key} cannot be read: {error}",
    hint: "store it again: appctl update secret {key}",
    exit,
    docs: "The stored value of a secret cannot be read.",
  },
  secretNotText: {
    code: "SECRET_NOT_TEXT",
    message: "the secret {key} holds bytes that no environment variable can carry",
    hint: 'give the app its bytes as a file: new Secret({ key, mount: "file" })',
    exit,
    docs: "A secret holds bytes that no environment variable can carry.",
  },
  notLive: {
    code: "NOT_LIVE",
    message: "it was ready, but {problem}",
    hint: "deploy again; if it fails again, the log of the platform says more: appctl platform logs",
    exit,
    docs: "It was ready, but the public URL did not answer from the new revision.",
  },
  superseded: {
    code: "SUPERSEDED",
    message: "revision {revision} was taken back before it was ready",
    hint: "another deploy, a stop or a delete of the app interrupted it",
    exit,
    docs: "Another deploy, a stop or a delete took the revision back before it was ready.",
  },
  engineError: {
    code: "ENGINE_ERROR",
    message: "the platform could not run it: {error}",
    hint: "see appctl platform logs",
    exit,
    docs: "The platform could not run the app. `appctl platform logs` says more.",
  },
  engineDiskFull: {
    code: "ENGINE_ERROR",
    message: "the platform could not run it: there is no space left on its disk: {error}",
    hint: "free some space there, then deploy again",
    exit,
    docs: "The platform's disk is full.",
  },
  platformCrashed: {
    code: "PLATFORM_CRASHED",
    message: "the platform crashed three times in a row during this deploy, and goes on without it",
    hint: "see appctl platform logs, and report the crash",
    exit,
    docs: "The platform crashed three times in a row while this deployment was open. It goes on without it.",
  },
  platformError: {
    code: "PLATFORM_ERROR",
    message: "the platform failed: {error}",
    hint: "see appctl platform logs",
    exit,
    docs: "The platform itself failed. `appctl platform logs` says more.",
  },
} as const satisfies Record<string, CauseRow>;

/** Names a row of {@link CAUSES}. */
export type CauseName = keyof typeof CAUSES;

/** Codes that a cause can have. */
export type FailureCode = (typeof CAUSES)[CauseName]["code"];

/** Names of the `{values}` in a text; braces with a space in them are code. */
type ValuesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? (Name extends `${string} ${string}` ? never : Name) | ValuesIn<Rest>
  : never;
type Values<Name extends CauseName> = Record<
  ValuesIn<(typeof CAUSES)[Name]["message"] | (typeof CAUSES)[Name]["hint"]>,
  string | number
>;

/** The cause of that name. `values` are what its texts leave open. */
export function causeOf<Name extends CauseName>(
  name: Name,
  ...[values]: keyof Values<Name> extends never ? [] : [values: Values<Name>]
): FailureCause {
  const { code, message, hint }: CauseRow = CAUSES[name];
  const fill = (text: string) =>
    text.replace(/\{(\w+)\}/g, (_, key: string) => String((values as Record<string, unknown> | undefined)?.[key]));
  return { code, message: fill(message), hint: fill(hint) };
}

/** The exit code of the command that waits for a deploy which failed with that code. */
export function exitOfCause(code: string): ExitCode {
  return Object.values<CauseRow>(CAUSES).find((row) => row.code === code)?.exit ?? ExitCode.failed;
}

/** The engine itself failed. */
export function engineError(error: unknown): FailureCause {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return causeOf(isFull ? "engineDiskFull" : "engineError", { error: messageOf(error) });
}
