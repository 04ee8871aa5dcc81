/** Waiting for a deployment's verdict: the part that deploy, attach, start and rollback share. */
import type { Scope } from "../../client/client.ts";
import { AppctlError, ExitCode, isAppctlError, withDeployFacts } from "../../core/errors.ts";
import type { DeployEvent } from "../../core/events.ts";
import type { DeployRenderer } from "../../ui/deploy-renderer.ts";
import { commandLine } from "./flags.ts";

/** Longest wait when `--wait-timeout` is not given, in milliseconds. */
export const DEFAULT_WAIT_MS = 600_000;

/** What {@link draw} works with. */
export interface DrawOptions {
  renderer: DeployRenderer;
  /** The command's own signal: Ctrl-C and SIGTERM. */
  signal: AbortSignal;
  /** In milliseconds, from when the platform accepted the deploy. */
  waitMs: number;
  scope: Scope;
  /** The deployment, when it is accepted already; else the `deploying` event tells. */
  accepted?: { app: string; deployment: number } | undefined;
}

/** What {@link draw} saw last. */
export interface Drawn {
  accepted: { app: string; deployment: number; consoleUrl: string } | undefined;
  /** True when the verdict came, and was good. */
  succeeded: boolean;
}

/**
 * Draws the events that `events` yields until they end. The signal that it gives to `events` aborts at an interruption and
 * at the end of the wait; the error then says that the deploy goes on and how to join it again.
 */
export async function draw(
  events: (signal: AbortSignal) => AsyncGenerator<DeployEvent>,
  options: DrawOptions,
): Promise<Drawn> {
  const { renderer, signal, waitMs, scope } = options;
  const timeout = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let current = options.accepted;
  const drawn: Drawn = { accepted: undefined, succeeded: false };
  const startTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(() => timeout.abort(new Error("the wait ended")), waitMs);
  };
  if (current) startTimer();
  try {
    for await (const event of events(AbortSignal.any([signal, timeout.signal]))) {
      if (event.type === "deploying") {
        current = event;
        const { app, deployment, consoleUrl } = event;
        drawn.accepted = { app, deployment, consoleUrl };
        startTimer();
      }
      if (event.type === "succeeded") {
        clearTimeout(timer);
        current = undefined;
      }
      drawn.succeeded = event.type === "succeeded";
      renderer.event(event);
    }
    return drawn;
  } catch (error) {
    const facts = current && {
      app: current.app,
      ...scope,
      deployment: current.deployment,
      ...(drawn.accepted ? { consoleUrl: drawn.accepted.consoleUrl } : {}),
    };
    if (signal.aborted) throw withDeployFacts(interrupted(signal.reason, current, scope), { ...facts });
    if (timeout.signal.aborted && current) throw withDeployFacts(timedOut(current, waitMs, scope), { ...facts });
    throw withDeployFacts(error, { ...facts });
  } finally {
    clearTimeout(timer);
    renderer.progress.stop();
  }
}

function attachCommand({ app, deployment }: { app: string; deployment: number }, scope: Scope): string {
  return commandLine(["attach", app, "--deployment", String(deployment)], scope);
}

function timedOut(current: { app: string; deployment: number }, waitMs: number, scope: Scope): AppctlError {
  return new AppctlError({
    code: "WAIT_TIMEOUT",
    exit: ExitCode.timeout,
    message: `${current.app} was not ready after ${waitMs / 1000} s; the deploy continues, and its result is unknown`,
    hint: "attach to it, or wait longer with --wait-timeout",
    next: [attachCommand(current, scope)],
  });
}

/** The error of an interruption, with what becomes of the deploy. */
function interrupted(reason: unknown, current: { app: string; deployment: number } | undefined, scope: Scope) {
  const exit = isAppctlError(reason) ? reason.exit : ExitCode.interrupted;
  const word = exit === ExitCode.terminated ? "Terminated." : "Interrupted.";
  return new AppctlError({
    code: exit === ExitCode.terminated ? "TERMINATED" : "INTERRUPTED",
    exit,
    message: current ? `${word} The deploy of ${current.app} continues.` : `${word} Nothing was deployed.`,
    next: current ? [attachCommand(current, scope)] : [],
    cause: reason,
  });
}
