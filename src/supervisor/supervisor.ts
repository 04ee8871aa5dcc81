/**
 * The parent of the platform and of every replica. It starts the platform again when it ends unasked, and keeps the replicas
 * meanwhile. It speaks no HTTP, reads no database and parses nothing that an app says.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SUPERVISOR_PROTOCOL } from "../core/platform-file.ts";
import { startTimeOf } from "../core/start-time.ts";
import { Wire } from "../core/wire.ts";
import { Gateways } from "./gateways.ts";
import {
  type FromPlatform,
  type FromSupervisor,
  type Restart,
  SUPERVISOR_FD,
  SUPERVISOR_VARIABLE,
} from "./messages.ts";
import { ReplicaKeeper } from "./replica-keeper.ts";

/** Pause before a platform that ended is started again, in milliseconds: doubled each time, up to the longest. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 10_000;
/** A platform that was ready and lived this long, in milliseconds, is started again after the first pause. */
const HEALTHY_MS = 1_000;
/** One that ends earlier has crashed: a deploy that was open may have been the reason. */
const CRASH_MS = 10_000;
/** Restarts that are remembered. */
const RESTARTS = 20;

/** How a supervisor is set up. */
export interface SupervisorOptions {
  node: string;
  /** The program of the platform: a file of the version that runs now. */
  program: string;
  /** Its arguments. */
  args: string[];
  /** Of appctl. */
  version: string;
  env: NodeJS.ProcessEnv;
  /** Aborts to stop the platform, and with it everything. */
  signal: AbortSignal;
  /** Gets the result of the first start, once: a message of the platform's own. */
  notify?: ((report: object) => void) | undefined;
  log(message: string): void;
}

/** Keeps a platform running. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #keeper = new ReplicaKeeper();
  #program: string;
  /** The program before, until the one that is to take its place is ready. */
  #programBefore: string | undefined;
  #isHandingOver = false;
  #hasCrashed = false;
  readonly #restarts: Restart[] = [];
  readonly #gateways: Gateways;
  readonly #notes = new Map<string, string>();
  #wire: Wire<FromSupervisor, FromPlatform> | undefined;
  /** The platform that runs is ready; one of those before it was. */
  #isReady = false;
  #wasReady = false;
  #stopping = false;
  #notify: ((report: object) => void) | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#notify = options.notify;
    this.#program = options.program;
    this.#gateways = new Gateways({
      node: options.node,
      env: options.env,
      started: (worker, pid) => this.#wire?.send({ type: "gateway", worker, pid, isGone: false }),
      ended: (worker, pid, reason) => {
        this.#wire?.send({ type: "gateway", worker, pid, isGone: true });
        if (this.#stopping || reason === "") return;
        options.log(`the gateway (pid ${pid}) ended unasked: ${reason}; starting another one`);
        this.#remember("gateway", reason);
      },
      received: (worker, body) => this.#wire?.send({ type: "fromGateway", worker, body }),
    });
  }

  /** Lets a platform of another version take the place of the one that runs. Replicas go on meanwhile. */
  upgrade(program: string): void {
    this.#options.log(`the platform is replaced by ${program}`);
    this.#programBefore ??= this.#program;
    this.#program = program;
    this.#isHandingOver = true;
    this.#wire?.send({ type: "handOver" });
  }

  /** Runs until the platform was stopped. Resolves with the exit code of the last platform. */
  async run(): Promise<number> {
    let pause = FIRST_PAUSE_MS;
    for (;;) {
      const began = performance.now();
      this.#isReady = false;
      const { code, signal, pid } = await this.#runPlatform();
      const reason = signal ?? `exit code ${code}`;
      // A first start that failed has said why; one that was stopped has ended everything itself.
      if (this.#stopping || !this.#wasReady) return this.#end(code ?? 1);
      this.#hasCrashed = !this.#isHandingOver && performance.now() - began < CRASH_MS;
      if (this.#isHandingOver) {
        this.#isHandingOver = false;
        continue;
      }
      if (this.#programBefore !== undefined) {
        this.#options.log(`${this.#program} did not start: going back to ${this.#programBefore}`);
        this.#program = this.#programBefore;
        this.#programBefore = undefined;
      }
      this.#options.log(`the platform (pid ${pid}) ended unasked: ${reason}; starting it again`);
      this.#remember("platform", reason);
      if (this.#isReady && performance.now() - began > HEALTHY_MS) pause = FIRST_PAUSE_MS;
      await delay(pause);
      if (this.#stopping) return this.#end(code ?? 1);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  #remember(process: Restart["process"], reason: string): void {
    const restart = { process, at: new Date().toISOString(), reason };
    this.#restarts.push(restart);
    if (this.#restarts.length > RESTARTS) this.#restarts.shift();
    this.#wire?.send({ type: "restarted", restart });
  }

  async #runPlatform(): Promise<{ code: number | null; signal: string | null; pid: number | undefined }> {
    const { node, args, env, signal: stop } = this.#options;
    const child = spawn(node, ["--disable-sigusr1", this.#program, ...args], {
      cwd: "/",
      env: { ...env, [SUPERVISOR_VARIABLE]: String(SUPERVISOR_FD) },
      stdio: ["ignore", "inherit", "inherit", "pipe"],
    });
    const forward = () => this.#stop(child);
    if (stop.aborted) forward();
    stop.addEventListener("abort", forward);
    const wire = new Wire<FromSupervisor, FromPlatform>(
      child.stdio[SUPERVISOR_FD] as Duplex,
      (message) => this.#received(wire, message),
      () => undefined,
    );
    this.#wire = wire;
    wire.send({
      type: "hello",
      protocol: SUPERVISOR_PROTOCOL,
      pid: process.pid,
      startTime: startTimeOf(process.pid) ?? 0,
      version: this.#options.version,
      hasCrashed: this.#hasCrashed,
      restarts: this.#restarts,
      replicas: this.#keeper.held(),
      gateways: this.#gateways.list(),
      notes: [...this.#notes],
    });
    const ended = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once("error", () => resolve({ code: 1, signal: null }));
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    stop.removeEventListener("abort", forward);
    this.#wire = undefined;
    return { ...ended, pid: child.pid };
  }

  #stop(child: ChildProcess): void {
    this.#stopping = true;
    child.kill("SIGTERM");
  }

  #received(wire: Wire<FromSupervisor, FromPlatform>, message: FromPlatform): void {
    switch (message.type) {
      case "start":
        return void this.#start(wire, message);
      case "signal":
        this.#keeper.get(message.id)?.signal(message.signal, message.target);
        return;
      case "finish":
        return void this.#finish(wire, message.id);
      case "report":
        this.#isReady = message.isReady;
        this.#wasReady ||= message.isReady;
        if (message.isReady) this.#programBefore = undefined;
        this.#notify?.(message.report);
        this.#notify = undefined;
        return;
      case "note":
        if (message.note === null) this.#notes.delete(message.name);
        else this.#notes.set(message.name, message.note);
        return;
      case "listen":
        void this.#listen(wire, message);
        return;
      case "toGateway":
        this.#gateways.send(message.body, message.worker);
        return;
      case "stopping":
        this.#stopping = true;
        this.#gateways.stop();
    }
  }

  async #listen(
    wire: Wire<FromSupervisor, FromPlatform>,
    order: Extract<FromPlatform, { type: "listen" }>,
  ): Promise<void> {
    try {
      const port = await this.#gateways.listen(order);
      wire.send({ type: "listening", port });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      wire.send({ type: "notListening", error: { message, ...(code === undefined ? {} : { code }) } });
    }
  }

  async #start(
    wire: Wire<FromSupervisor, FromPlatform>,
    message: Extract<FromPlatform, { type: "start" }>,
  ): Promise<void> {
    const { order, replica } = message;
    try {
      const held = await this.#keeper.start(replica);
      const { id } = held;
      // To the platform of that moment: there may be another one by then.
      held.logMoved = (end) => this.#wire?.send({ type: "moved", id, end });
      void held.listening.then(() => this.#wire?.send({ type: "listens", id }));
      void held.exited.then((end) => this.#wire?.send({ type: "exited", id, end }));
      wire.send({ type: "started", order, pid: held.pid });
    } catch (error) {
      const { code, syscall, message: text } = error as NodeJS.ErrnoException;
      const more = { ...(code === undefined ? {} : { code }), ...(syscall === undefined ? {} : { syscall }) };
      wire.send({ type: "notStarted", order, error: { message: text, ...more } });
    }
  }

  async #finish(wire: Wire<FromSupervisor, FromPlatform>, id: string): Promise<void> {
    const output = (await this.#keeper.get(id)?.finish()) ?? [];
    wire.send({ type: "finished", id, output });
  }

  /** A platform that was stopped has ended its replicas; what one that failed has left ends here. */
  #end(code: number): number {
    for (const replica of this.#keeper.list()) replica.signal("SIGKILL", "group");
    this.#gateways.kill();
    return code;
  }
}
