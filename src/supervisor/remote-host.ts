/** The platform's end: replicas that the supervisor above it starts and holds. */
import { Socket } from "node:net";
import type { LogPosition } from "../core/log-writer.ts";
import type {
  HostedReplica,
  NoteKeeper,
  OutputLine,
  ProcessEnd,
  ReplicaHost,
  ReplicaOrder,
} from "../core/replica-host.ts";
import { Wire } from "../core/wire.ts";
import type { FromPlatform, FromSupervisor, HeldReplica, Restart } from "./messages.ts";

/** The supervisor, as it introduces itself. */
export type SupervisorFacts = Omit<
  Extract<FromSupervisor, { type: "hello" }>,
  "type" | "replicas" | "gateways" | "notes"
>;

/** What the platform wants to hear of its gateways. */
export interface GatewayEvents {
  received(worker: number, body: object): void;
  gone(worker: number): void;
}

/** Starts replicas in the supervisor. */
export class RemoteHost implements ReplicaHost, NoteKeeper {
  readonly #wire: Wire<FromPlatform, FromSupervisor>;
  readonly #replicas = new Map<string, RemoteReplica>();
  readonly #starting = new Map<number, { resolve(pid: number): void; reject(error: Error): void }>();
  readonly #notes = new Map<string, string>();
  readonly #gateways = new Map<number, number>();
  /** Programs of gateways that an earlier platform has started. */
  readonly #programs = new Map<number, string>();
  #gatewayEvents: GatewayEvents | undefined;
  /** Called when another platform is about to take over. */
  onHandOver: () => void = () => undefined;
  /** What gateways said before anybody listened. */
  #unheard: { worker: number; body: object }[] = [];
  #listening: { resolve(port: number): void; reject(error: Error): void } | undefined;
  /** Those of the facts; it grows. */
  #restarts: Restart[] = [];
  #orders = 0;
  #hello: (facts: SupervisorFacts) => void = () => undefined;
  #gone: (error: Error) => void = () => undefined;

  private constructor(fd: number, closed: () => void) {
    const pipe = new Socket({ fd, readable: true, writable: true });
    this.#wire = new Wire(
      pipe,
      (message) => this.#received(message),
      () => {
        this.#gone(new Error("the supervisor is gone"));
        closed();
      },
    );
  }

  /** Connects through the inherited descriptor `fd`. `closed` is called when the supervisor is gone. */
  static async connect(fd: number, closed: () => void): Promise<{ host: RemoteHost; facts: SupervisorFacts }> {
    const host = new RemoteHost(fd, closed);
    const facts = await new Promise<SupervisorFacts>((resolve, reject) => {
      host.#hello = resolve;
      host.#gone = reject;
    });
    return { host, facts };
  }

  async start(order: ReplicaOrder): Promise<HostedReplica> {
    const number = this.#orders++;
    const pid = await new Promise<number>((resolve, reject) => {
      this.#starting.set(number, { resolve, reject });
      // Known from here on: what the supervisor says of it may come in the same read as its start.
      this.#replicas.set(order.id, new RemoteReplica(this.#wire, { id: order.id, note: order.note }));
      this.#wire.send({ type: "start", order: number, replica: order });
    }).catch((error) => {
      this.#replicas.delete(order.id);
      throw error;
    });
    const replica = this.#replicas.get(order.id) as RemoteReplica;
    replica.pid = pid;
    return replica;
  }

  list(): HostedReplica[] {
    return [...this.#replicas.values()];
  }

  notes(): ReadonlyMap<string, string> {
    return this.#notes;
  }

  keepNote(name: string, note: string | null): void {
    this.#wire.send({ type: "note", name, note });
  }

  /** Hands the result of the platform's start to the command that waits for it. */
  report(report: object, isReady: boolean): Promise<void> {
    this.#wire.send({ type: "report", report, isReady });
    return this.#wire.flush();
  }

  /** Process ids of the gateways. */
  get gatewayPids(): number[] {
    return [...this.#gateways.values()];
  }

  /**
   * Opens the socket that clients connect to, unless it is open, and starts gateways on it. Resolves with its port; rejects with the
   * system's error.
   */
  listen(order: Omit<Extract<FromPlatform, { type: "listen" }>, "type">): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#listening = { resolve, reject };
      this.#wire.send({ type: "listen", ...order });
    });
  }

  /** Gateways that run another program than `program`. */
  gatewaysBesides(program: string): number[] {
    return [...this.#gateways.keys()].filter((worker) => (this.#programs.get(worker) ?? program) !== program);
  }

  /** Sends a message to one gateway, or to all. */
  sendToGateway(body: object, worker?: number): void {
    this.#wire.send({ type: "toGateway", worker: worker ?? null, body });
  }

  /** Hands over what gateways say, from the first word on. Those that ran already are asked to say hello. */
  hearGateways(events: GatewayEvents): void {
    this.#gatewayEvents = events;
    for (const { worker, body } of this.#unheard) events.received(worker, body);
    this.#unheard = [];
    for (const worker of this.#gateways.keys()) events.received(worker, { type: "hello" });
  }

  /** Says that the end of this platform is the end of everything. */
  stopping(): Promise<void> {
    this.#wire.send({ type: "stopping" });
    return this.#wire.flush();
  }

  #received(message: FromSupervisor): void {
    switch (message.type) {
      case "hello": {
        const { replicas, gateways, notes, type: _, ...facts } = message;
        for (const [name, note] of notes) this.#notes.set(name, note);
        this.#restarts = facts.restarts;
        for (const { worker, pid, program } of gateways) {
          this.#gateways.set(worker, pid);
          this.#programs.set(worker, program);
        }
        for (const held of replicas) this.#replicas.set(held.id, new RemoteReplica(this.#wire, held));
        this.#hello(facts);
        return;
      }
      case "started":
        this.#starting.get(message.order)?.resolve(message.pid);
        this.#starting.delete(message.order);
        return;
      case "notStarted": {
        const { message: text, ...more } = message.error;
        this.#starting.get(message.order)?.reject(Object.assign(new Error(text), more));
        this.#starting.delete(message.order);
        return;
      }
      case "listens":
        this.#replicas.get(message.id)?.saysListening();
        return;
      case "exited":
        this.#replicas.get(message.id)?.saysExited(message.end);
        return;
      case "moved":
        this.#replicas.get(message.id)?.saysMoved(message.end);
        return;
      case "restarted":
        this.#restarts.push(message.restart);
        return;
      case "handOver":
        this.onHandOver();
        return;
      case "listening":
        this.#listening?.resolve(message.port);
        return;
      case "notListening":
        this.#listening?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
        return;
      case "gateway":
        if (!message.isGone) this.#gateways.set(message.worker, message.pid);
        else {
          this.#gateways.delete(message.worker);
          this.#gatewayEvents?.gone(message.worker);
        }
        return;
      case "fromGateway":
        if (this.#gatewayEvents) this.#gatewayEvents.received(message.worker, message.body);
        else this.#unheard.push({ worker: message.worker, body: message.body });
        return;
      case "finished":
        this.#replicas.get(message.id)?.saysFinished(message.output);
        this.#replicas.delete(message.id);
    }
  }
}

class RemoteReplica implements HostedReplica {
  readonly id: string;
  pid: number;
  readonly note: string;
  readonly listening: Promise<void>;
  readonly exited: Promise<ProcessEnd>;
  hasExited = false;
  readonly #wire: Wire<FromPlatform, FromSupervisor>;
  #listens: () => void = () => undefined;
  #exits: (end: ProcessEnd) => void = () => undefined;
  #finishes: (output: OutputLine[]) => void = () => undefined;
  #finished: Promise<OutputLine[]> | undefined;
  #logMoved: ((end: LogPosition) => void) | undefined;
  #logEnd: LogPosition | undefined;

  constructor(wire: Wire<FromPlatform, FromSupervisor>, held: Pick<HeldReplica, "id" | "note"> & Partial<HeldReplica>) {
    this.#wire = wire;
    this.id = held.id;
    this.note = held.note;
    this.pid = held.pid ?? 0;
    this.listening = new Promise((resolve) => {
      this.#listens = resolve;
    });
    this.exited = new Promise((resolve) => {
      this.#exits = resolve;
    });
    if (held.listens) this.saysListening();
    if (held.end) this.saysExited(held.end);
  }

  set logMoved(moved: ((end: LogPosition) => void) | undefined) {
    this.#logMoved = moved;
    if (this.#logEnd) moved?.(this.#logEnd);
  }

  signal(signal: NodeJS.Signals, target: "leader" | "group"): void {
    this.#wire.send({ type: "signal", id: this.id, signal, target });
  }

  finish(): Promise<OutputLine[]> {
    this.#finished ??= new Promise((resolve) => {
      this.#finishes = resolve;
      this.#wire.send({ type: "finish", id: this.id });
    });
    return this.#finished;
  }

  saysListening(): void {
    this.#listens();
  }

  saysExited(end: ProcessEnd): void {
    this.hasExited = true;
    this.#exits(end);
  }

  saysMoved(end: LogPosition): void {
    this.#logEnd = end;
    this.#logMoved?.(end);
  }

  saysFinished(output: OutputLine[]): void {
    this.#finishes(output);
  }
}
