/** How a container ended, from what the engine says of it. */

/** `State` of an inspected container (Docker Engine API, "ContainerState"). */
export interface ContainerState {
  Running: boolean;
  Pid: number;
  ExitCode: number;
  OOMKilled: boolean;
  /** Another one after it was stopped and started again. */
  StartedAt: string;
}

/** What is known besides. */
export interface EndFacts {
  /** It has a memory limit. */
  limited: boolean;
  /** The platform itself killed it. */
  killed: boolean;
  isPodman: boolean;
}

/** Signals that a program cannot turn into an exit code of its own, by number. */
const DEADLY: Record<number, string> = { 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV" };

/** Exactly one of `code` and `signal` is set. An engine gives 128 and a signal's number as the code. */
export function endOf(
  { ExitCode, OOMKilled }: Pick<ContainerState, "ExitCode" | "OOMKilled">,
  { limited, killed, isPodman }: EndFacts,
): { code: number | null; signal: string | null; outOfMemory: boolean } {
  const signal = DEADLY[ExitCode - 128] ?? null;
  // Podman's watcher of containers can lose the note (seen with 4.3): what was killed, and not by us, met its limit.
  const presumed = isPodman && limited && !killed && signal === "SIGKILL";
  return {
    code: signal === null ? ExitCode : null,
    signal,
    outOfMemory: ExitCode !== 0 && (OOMKilled || presumed),
  };
}
