/** Opens the socket that clients connect to and keeps gateways running on it. It accepts nothing itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { lookup } from "node:dns/promises";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import { getSystemErrorName } from "node:util";
import { Wire } from "../core/wire.ts";

/** Descriptors that a gateway inherits: the pipe to its supervisor, and the listening socket. */
const PIPE_FD = 3;
const LISTENER_FD = 4;
/** Pause before a gateway that ended is started again, in milliseconds: doubled each time, up to the longest. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 5_000;
/** A gateway that lived this long, in milliseconds, is started again at once. */
const HEALTHY_MS = 10_000;

/** The events of gateways. */
export interface GatewaysOptions {
  node: string;
  env: NodeJS.ProcessEnv;
  started(worker: number, pid: number): void;
  /** `reason` is empty for one that was let go. */
  ended(worker: number, pid: number, reason: string): void;
  received(worker: number, body: object): void;
}

/** A bound socket of Node's own kind, which the cluster module hands to its workers. */
interface BoundSocket {
  fd: number;
  getsockname(address: { port?: number }): number;
  close(): void;
}

interface RunningGateway {
  program: string;
  child: ChildProcess;
  pid: number;
  wire: Wire<object, object>;
}

/** The gateways of one platform. */
export class Gateways {
  readonly #options: GatewaysOptions;
  readonly #running = new Map<number, RunningGateway>();
  #socket: BoundSocket | undefined;
  #address = "";
  #program = "";
  #lives = 0;
  #isStopping = false;

  constructor(options: GatewaysOptions) {
    this.#options = options;
  }

  /** Opens the socket and starts the gateways, unless that was done. Resolves with the port. Rejects with the system's error. */
  async listen(order: { host: string; port: number; gateway: { program: string; workers: number } }): Promise<number> {
    const { host, port, gateway } = order;
    const address = `${host} ${port}`;
    if (this.#socket && this.#address !== address) throw new Error("the platform listens somewhere else already");
    this.#socket ??= await openSocket(host, port);
    this.#address = address;
    // Gateways of another program go on until the platform lets them end; none of them is started again.
    const isNew = this.#program !== gateway.program;
    this.#program = gateway.program;
    if (isNew) for (let worker = 0; worker < gateway.workers; worker++) void this.#keepRunning(gateway.program);
    const name: { port?: number } = {};
    this.#socket.getsockname(name);
    return name.port ?? port;
  }

  list(): { worker: number; pid: number; program: string }[] {
    return [...this.#running].map(([worker, { pid, program }]) => ({ worker, pid, program }));
  }

  /** Passes a message on to one gateway, or to all. */
  send(body: object, worker: number | null): void {
    for (const [life, { wire }] of this.#running) if (worker === null || worker === life) wire.send(body);
  }

  /** Starts no gateway again: the platform lets them end. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Ends what is left. */
  kill(): void {
    this.#isStopping = true;
    for (const { child } of this.#running.values()) child.kill("SIGKILL");
    this.#socket?.close();
  }

  async #keepRunning(program: string): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#isStopping && program === this.#program) {
      const began = performance.now();
      await this.#run(program);
      if (this.#isStopping) return;
      if (performance.now() - began > HEALTHY_MS) pause = FIRST_PAUSE_MS;
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  /** One life of a gateway. */
  #run(program: string): Promise<void> {
    const { node, env, started, ended, received } = this.#options;
    const worker = this.#lives++;
    const args = ["--disable-sigusr1", program, String(PIPE_FD), String(LISTENER_FD)];
    const child = spawn(node, args, {
      cwd: "/",
      env: environmentOf(env),
      stdio: ["ignore", "inherit", "inherit", "pipe", (this.#socket as BoundSocket).fd],
    });
    const pid = child.pid ?? 0;
    const pipe = child.stdio[PIPE_FD] as Duplex;
    const wire = new Wire<object, object>(
      pipe,
      (body) => received(worker, body),
      () => undefined,
    );
    this.#running.set(worker, { program, child, pid, wire });
    started(worker, pid);
    return new Promise((resolve) => {
      const over = (reason: string) => {
        if (!this.#running.delete(worker)) return;
        ended(worker, pid, program === this.#program ? reason : "");
        resolve();
      };
      child.once("error", (error) => over(error.message));
      child.once("exit", (code, signal) => over(signal ?? `exit code ${code}`));
    });
  }
}

/** A gateway reads nothing of the environment but the time zone and the language. */
function environmentOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(?:PATH|TZ|LANG|LC_.*)$/.test(name)));
}

/**
 * A socket that is bound and inherited by gateways, which listen on it. node:net would also accept connections here; the function
 * that node:cluster makes such sockets with does not.
 */
async function openSocket(host: string, port: number): Promise<BoundSocket> {
  const { address, family } = await lookup(host);
  const make = (net as unknown as { _createServerHandle(...args: unknown[]): BoundSocket | number })
    ._createServerHandle;
  const made = make(address, port, family, -1, 0);
  let code = typeof made === "number" ? getSystemErrorName(made) : "";
  if (typeof made !== "number") {
    const name: { port?: number } = {};
    made.getsockname(name);
    if (name.port !== undefined && name.port !== 0) return made;
    // libuv keeps this error until somebody listens: the socket has no address.
    made.close();
    code = "EADDRINUSE";
  }
  throw Object.assign(new Error(`listen ${code}: ${host}:${port}`), { code });
}
