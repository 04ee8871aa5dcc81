/** What the supervisor and the platform say to each other. A change of it is a new {@link SUPERVISOR_PROTOCOL}. */
import type { LogPosition } from "../core/log-writer.ts";
import type { OutputLine, ProcessEnd, ReplicaOrder } from "../core/replica-host.ts";

/** Descriptor of the platform's pipe to its supervisor. */
export const SUPERVISOR_FD = 3;
/** Environment variable with that descriptor. */
export const SUPERVISOR_VARIABLE = "APPCTL_SUPERVISOR_FD";

/** A replica that the supervisor holds. */
export interface HeldReplica {
  id: string;
  pid: number;
  note: string;
  /** It has said that it listens. */
  listens: boolean;
  end: ProcessEnd | null;
}

/** That a process of the supervisor's ended unasked and was started again. */
export interface Restart {
  process: "platform" | "gateway";
  /** ISO 8601. */
  at: string;
  /** `exit code 1`, `SIGKILL`. */
  reason: string;
}

/** From the supervisor. */
export type FromSupervisor =
  | {
      type: "hello";
      protocol: number;
      pid: number;
      startTime: number;
      /** Of appctl. */
      version: string;
      /** The platform before ended unasked, and a short time after its start. */
      hasCrashed: boolean;
      restarts: Restart[];
      replicas: HeldReplica[];
      gateways: { worker: number; pid: number; program: string }[];
      notes: [name: string, note: string][];
    }
  | { type: "started"; order: number; pid: number }
  | { type: "notStarted"; order: number; error: { code?: string; syscall?: string; message: string } }
  | { type: "listens"; id: string }
  | { type: "exited"; id: string; end: ProcessEnd }
  | { type: "moved"; id: string; end: LogPosition }
  | { type: "finished"; id: string; output: OutputLine[] }
  | { type: "restarted"; restart: Restart }
  /** Ends without its replicas: another platform is about to take over. */
  | { type: "handOver" }
  | { type: "listening"; port: number }
  | { type: "notListening"; error: { code?: string; message: string } }
  /** A gateway runs, or is gone. `worker` names one life of one gateway. */
  | { type: "gateway"; worker: number; pid: number; isGone: boolean }
  /** From a gateway; the supervisor does not look into it. */
  | { type: "fromGateway"; worker: number; body: object };

/** From the platform. */
export type FromPlatform =
  | { type: "start"; order: number; replica: ReplicaOrder }
  | { type: "signal"; id: string; signal: NodeJS.Signals; target: "leader" | "group" }
  | { type: "finish"; id: string }
  /** The result of the platform's start, for the command that waits for it. `report` is the command's own message. */
  | { type: "report"; report: object; isReady: boolean }
  /** Keeps a note for the next platform, or forgets it. */
  | { type: "note"; name: string; note: string | null }
  /** Opens the socket that clients connect to, and starts gateways on it. */
  | { type: "listen"; host: string; port: number; gateway: { program: string; workers: number } }
  /** To one gateway, or to all; the supervisor does not look into it. */
  | { type: "toGateway"; worker: number | null; body: object }
  /** The platform was asked to stop: when it ends, everything does. */
  | { type: "stopping" };
