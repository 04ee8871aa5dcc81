/** Waits until a replica answers a real request, or until it is certain that it will not. */
import { request } from "node:http";
import { REPLICA_TOKEN_HEADER } from "../../contract/headers.ts";
import type { Clock } from "./clock.ts";
import type { RunningReplica } from "./runtime.ts";

/** How a replica's start ended. */
export type StartOutcome =
  | { type: "ready" }
  | { type: "exited" }
  | { type: "otherPort"; ports: number[] }
  | { type: "timeout" }
  | { type: "aborted" };

/** Limits of the wait, in milliseconds. */
export interface ReadinessOptions {
  timeoutMs: number;
  /** How long a replica may listen on another port only. */
  otherPortMs: number;
  clock: Clock;
  signal: AbortSignal;
}

/** How long a replica may listen on another port only, in milliseconds. */
export const OTHER_PORT_MS = 15_000;

const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 250;
/** Part of the time since the start that a pause takes: nobody waits for much longer than the replica needed. */
const PAUSE_PART = 0.1;
/** Time between two looks at the replica's ports. */
const PORT_LOOK_MS = 500;

/** Waits for the first complete response head of `GET /`. */
export async function waitUntilReady(replica: RunningReplica, options: ReadinessOptions): Promise<StartOutcome> {
  const { clock, timeoutMs } = options;
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, options.signal]);
  const never = new Promise<never>(() => {});
  try {
    return await Promise.race([
      replica.exited.then((): StartOutcome => ({ type: "exited" })),
      clock
        .sleep(timeoutMs, signal)
        .then((): StartOutcome | Promise<never> =>
          options.signal.aborted ? { type: "aborted" } : over.signal.aborted ? never : { type: "timeout" },
        ),
      probeUntilAnswer(replica, clock, signal).then((answered): StartOutcome | Promise<never> =>
        answered ? { type: "ready" } : never,
      ),
      watchPorts(replica, options, signal).then((ports): StartOutcome | Promise<never> =>
        ports ? { type: "otherPort", ports } : never,
      ),
    ]);
  } finally {
    over.abort();
  }
}

/** True once the replica answered; false when `signal` aborted first. */
async function probeUntilAnswer(replica: RunningReplica, clock: Clock, signal: AbortSignal): Promise<boolean> {
  if (replica.listening) await replica.listening;
  const began = clock.now();
  while (!signal.aborted) {
    if ((await answers(replica, signal)) && ownsItsPort(replica)) return true;
    const pause = PAUSE_PART * (clock.now() - began);
    await clock.sleep(Math.min(Math.max(pause, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS), signal);
  }
  return false;
}

/** False when another program answered: it took the port in the moment before the replica could. */
function ownsItsPort(replica: RunningReplica): boolean {
  const { address } = replica;
  if (!("port" in address)) return true;
  const ports = replica.listeningPorts();
  return ports === undefined || ports.includes(address.port);
}

function answers(replica: RunningReplica, signal: AbortSignal): Promise<boolean> {
  const { address, token } = replica;
  return new Promise((resolve) => {
    const probe = request(
      {
        ...address,
        path: "/",
        agent: false,
        signal,
        headers: {
          host: "localhost",
          "user-agent": "appctl-probe",
          connection: "close",
          ...(token === undefined ? {} : { [REPLICA_TOKEN_HEADER]: token }),
        },
      },
      (response) => {
        resolve(true);
        response.destroy();
      },
    );
    probe.on("error", () => resolve(false)); // nobody listens yet, or it broke off: the next try tells
    probe.end();
  });
}

/** Ports on which the replica has listened long enough without listening on its own; undefined when `signal` aborted. */
async function watchPorts(
  replica: RunningReplica,
  { clock, otherPortMs }: ReadinessOptions,
  signal: AbortSignal,
): Promise<number[] | undefined> {
  const ownPort = "port" in replica.address ? replica.address.port : undefined;
  let since: number | undefined;
  let listens = false;
  void replica.listening?.then(() => {
    listens = true;
  });
  while (!signal.aborted) {
    await clock.sleep(Math.min(PORT_LOOK_MS, otherPortMs), signal);
    if (signal.aborted) break;
    const ports = replica.listeningPorts() ?? [];
    const onlyOthers = !listens && ports.length > 0 && !(ownPort !== undefined && ports.includes(ownPort));
    if (!onlyOthers) since = undefined;
    else {
      since ??= clock.now();
      if (clock.now() - since >= otherPortMs) return ports;
    }
  }
  return undefined;
}
