/** The process edge: arguments, environment, signals; prints a failure once and sets the exit code. */
import type { EarlyLoad } from "./app/early-load.ts";
import { launcherOf } from "./core/launcher.ts";
import { builtFile, version } from "./core/package-files.ts";

/** How long a command may take to end after the first Ctrl-C, in milliseconds: to say what becomes of a deploy. */
const GRACE_MS = 1000;
/** A signal that comes twice within this time, in milliseconds, was sent once: to the group, and passed on by a parent. */
const ECHO_MS = 50;

const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) process.stdout.write(`${version()}\n`);
else await main();

async function main(): Promise<void> {
  const [{ AppctlError, ExitCode, isAppctlError }, { EventLines }, { modesIn }] = await Promise.all([
    import("./core/errors.ts"),
    import("./ui/event-lines.ts"),
    import("./ui/argv-modes.ts"),
  ]);
  const stop = new AbortController();
  let loading: EarlyLoad | undefined;
  const unread = new AbortController();
  const now = () => new Date();
  const modes = modesIn(argv);
  const io = {
    cwd: process.cwd(),
    env: process.env,
    // A getter: to look at stdin opens it, which most commands do not need.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
    unread: unread.signal,
    now,
    get launcher() {
      return launcherOf(process.env, process.cwd(), process.argv[1] ?? "appctl");
    },
    lines: new EventLines(process.stdout, now),
    get loading() {
      return loading;
    },
    notify: process.send && notifyParent,
  };

  const finish = async (error: unknown): Promise<void> => {
    // What an aborted call threw is only the echo of the signal.
    const shown = stop.signal.aborted && !isAppctlError(error) ? stop.signal.reason : error;
    const [{ exitCodeOf }, { reportFailure }] = await Promise.all([
      import("./ui/failure.ts"),
      import("./ui/report-failure.ts"),
    ]);
    await reportFailure(io, shown, modes);
    await exit(exitCodeOf(shown));
  };

  // `| head` has what it wanted: no error, and what only prints can end.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") unread.abort();
    else process.stderr.write(`Error: standard output cannot be written: ${error.message}\n`, () => process.exit(1));
  });
  // With nobody to tell, there is nothing to tell.
  process.stderr.on("error", () => undefined);
  process.on("uncaughtException", (error) => void finish(error));
  for (const [signal, code, exitCode, message] of [
    ["SIGINT", "INTERRUPTED", ExitCode.interrupted, "Interrupted."],
    ["SIGTERM", "TERMINATED", ExitCode.terminated, "Terminated."],
  ] as const) {
    let first = Number.POSITIVE_INFINITY;
    process.on(signal, () => {
      if (performance.now() - first > ECHO_MS) process.exit(exitCode);
      if (first !== Number.POSITIVE_INFINITY) return;
      first = performance.now();
      stop.abort(new AppctlError({ code, exit: exitCode, message }));
    });
  }

  // Node would open its debugger for any sender, an app of the same user as well.
  if (argv[0] === "platform") process.on("SIGUSR1", () => undefined);
  try {
    loading = await startLoading();
    const { runProgram } = await import("./program.ts");
    // A platform ends its apps gracefully, first, however long that takes.
    await (argv.includes("platform") ? runProgram(io, argv) : untilStopped(runProgram(io, argv), stop.signal));
    await exit(ExitCode.ok);
  } catch (error) {
    await finish(error);
  }
}

/** Begins to load the file of the command, if it has one, while the rest of this process is still loading itself. */
async function startLoading(): Promise<EarlyLoad | undefined> {
  if (!argv.includes("deploy") && !argv.includes("build")) return undefined;
  const { startLoading: start } = await import("./app/early-load.ts");
  const files = { sdkModules: builtFile("sdk-modules"), workerFile: builtFile("describe-worker.js") };
  try {
    return start(argv, { cwd: process.cwd(), env: process.env, ...files });
  } catch {
    return undefined; // a failure to start is reported where the result is needed
  }
}

/** `work`; but after an interruption it gets little time, since not every call can be broken off. */
async function untilStopped(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => {
      timer = setTimeout(() => reject(signal.reason), GRACE_MS);
    });
  });
  try {
    await Promise.race([work, stopped]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the process when everything that was written has left it: a pipe takes its time. */
async function exit(code: number): Promise<void> {
  process.exitCode = code;
  const flushed = (stream: NodeJS.WriteStream) => new Promise<void>((resolve) => stream.write("", () => resolve()));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

function notifyParent(message: object): void {
  // The parent may have gone meanwhile; the platform runs all the same.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
