/** A replica that is a container. */
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type EngineApi, EngineApiError } from "../../../container-engine/docker-api.ts";
import { framesOf } from "../../../container-engine/frames.ts";
import { messageOf } from "../../../core/errors.ts";
import { LineSplitter } from "../../../core/lines.ts";
import { LAST_OUTPUT_MS } from "../../../core/replica-host.ts";
import { listeningPortsOf, processTree, residentBytes } from "../process/proc.ts";
import type { OutputSink, ReplicaAddress, ReplicaExit, RunningReplica } from "../runtime.ts";
import { type ContainerState, endOf } from "./container-exit.ts";

/** A container that runs, and what its replica needs. */
export interface StartedContainer {
  api: EngineApi;
  id: string;
  /** Its first process, as this machine numbers it; null when the engine does not say. */
  pid: number | null;
  /** When it was, in the engine's words. */
  startedAt: string;
  address: ReplicaAddress;
  /** The port that it was given in `PORT`, when it is another one than the address's. */
  port: number;
  token: string | undefined;
  limited: boolean;
  /** What it prints: frames. */
  output: Readable;
  sink: OutputSink;
  /** Milliseconds since the epoch. */
  now(): number;
  log(message: string): void;
  /** Called when the container is gone; `exited` waits for it. Never rejects. */
  ended(): Promise<void>;
}

/** Opens the stream of what a container prints: frames. What was printed before is not in it. `signal` ends the opening alone. */
export function attach(api: EngineApi, container: string, signal?: AbortSignal): Promise<Readable> {
  const query = { stream: "1", stdout: "1", stderr: "1" };
  return api.stream(`/containers/${container}/attach`, { query, signal });
}

/** How often Podman looks by itself whether a container has ended; mostly the end of its output tells before. */
const PODMAN_INTERVAL = "5s";
/** How long a container whose output has ended is looked at, and the first pause between two looks. */
const END_LOOKS_MS = 2_000;
const FIRST_LOOK_MS = 10;
/** Pause between two tries to reach an engine that went away. */
const AWAY_MS = 500;
/** The longest pause before the output of a container is asked for again: a program may have closed it for good. */
const LONGEST_PAUSE_MS = 30_000;

/** The replica. */
export class DockerReplica implements RunningReplica {
  readonly pid: number | null;
  readonly address: ReplicaAddress;
  readonly port: number;
  readonly token: string | undefined;
  readonly listening = undefined;
  readonly exited: Promise<ReplicaExit>;
  hasExited = false;
  readonly #of: StartedContainer;
  #stopping = false;
  #killed = false;
  #addressTaken = false;
  /** Aborts to stop waiting for an engine that does not answer. */
  readonly #givenUp = new AbortController();
  /** Aborts when the container has ended. */
  readonly #over = new AbortController();
  #output: Readable;
  /** Resolves at the next end of the output; there can be several, with connections that break off. */
  #outputEnd = Promise.withResolvers<void>();

  constructor(started: StartedContainer) {
    this.#of = started;
    this.pid = started.pid;
    this.address = started.address;
    this.port = started.port;
    this.token = started.token;
    this.#output = started.output;
    const output = this.#read();
    this.exited = this.#end(output);
  }

  listeningPorts(): number[] | undefined {
    const { pid, address, port } = this;
    if (this.hasExited || pid === null || !this.#isHere(pid)) return undefined;
    const ports = listeningPortsOf(processTree(pid));
    // Inside it is the port of PORT; who asks knows the one outside.
    return ports?.map((found) => (found === port && "port" in address ? address.port : found));
  }

  memory(): number | undefined {
    const { pid } = this;
    if (this.hasExited || pid === null || !this.#isHere(pid)) return undefined;
    return residentBytes(processTree(pid));
  }

  stop(graceMs: number): Promise<ReplicaExit> {
    if (!this.#stopping && !this.hasExited) {
      this.#stopping = true;
      void this.#signal("SIGTERM");
      const grace = setTimeout(() => this.kill(), graceMs);
      void this.exited.then(() => clearTimeout(grace));
    }
    return this.exited;
  }

  kill(): Promise<ReplicaExit> {
    this.#killed = true;
    if (!this.hasExited) {
      void this.#signal("SIGKILL").then((answered) => {
        // Nobody is there who could end it, or say that it has ended: the next start of a platform removes what is left.
        if (!answered) this.#givenUp.abort();
      });
    }
    return this.exited;
  }

  /** False when the engine cannot be reached. That the container has ended already is no failure. */
  async #signal(signal: string): Promise<boolean> {
    const { api, id, log } = this.#of;
    try {
      await api.json("POST", `/containers/${id}/kill`, { query: { signal } });
      return true;
    } catch (error) {
      if (error instanceof EngineApiError && (error.status === 404 || error.status === 409)) return true;
      log(`container ${id.slice(0, 12)} could not be sent ${signal}: ${messageOf(error)}`);
      return error instanceof EngineApiError;
    }
  }

  async #end(output: Promise<void>): Promise<ReplicaExit> {
    const state = await this.#lastState();
    this.hasExited = true;
    this.#over.abort();
    await Promise.race([output, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    this.#output.destroy();
    await output;
    await this.#of.ended();
    const { limited, api } = this.#of;
    const end = endOf(state, { limited, killed: this.#killed, isPodman: api.isPodman });
    return { ...end, outOfStorage: false, addressTaken: this.#addressTaken };
  }

  /**
   * Its state when it has ended. An engine that went away is waited for. A container that somebody has started again has ended,
   * too: its port is another one since then, and it is removed as what is left of a replica.
   */
  async #lastState(): Promise<Pick<ContainerState, "ExitCode" | "OOMKilled">> {
    const { api, id, startedAt } = this.#of;
    const { signal } = this.#givenUp;
    let outputEnd = this.#outputEnd.promise;
    while (!signal.aborted) {
      try {
        const code = await (api.isPodman ? this.#waitForPodman(outputEnd, signal) : this.#wait(signal));
        outputEnd = this.#outputEnd.promise;
        const { State } = await api.json<{ State: ContainerState }>("GET", `/containers/${id}/json`, { signal });
        if (!State.Running) return State;
        if (State.StartedAt !== startedAt) return { ExitCode: code ?? State.ExitCode, OOMKilled: false };
      } catch (error) {
        // Somebody removed it.
        if (error instanceof EngineApiError && error.status === 404) break;
        await delay(AWAY_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    }
    return { ExitCode: 137, OOMKilled: false };
  }

  /** Waits for the container's end; gives its exit code. */
  async #wait(signal: AbortSignal): Promise<number> {
    const { api, id } = this.#of;
    const { StatusCode } = await api.json<{ StatusCode: number }>("POST", `/containers/${id}/wait`, { signal });
    return StatusCode;
  }

  /**
   * The same with Podman, which waits by looking four times a second: a seventh of a core for each container (seen with 4.3).
   * So it is asked to look seldom, and looked after when the output has ended, as it does with the container. Undefined when
   * only the output has ended.
   */
  async #waitForPodman(outputEnd: Promise<void>, signal: AbortSignal): Promise<number | undefined> {
    const { api, id } = this.#of;
    const enough = new AbortController();
    const waiting = api.json<number>("POST", `/libpod/containers/${id}/wait`, {
      query: { condition: "stopped", interval: PODMAN_INTERVAL },
      signal: AbortSignal.any([signal, enough.signal]),
    });
    waiting.catch(() => {}); // it may end after the output
    try {
      const code = await Promise.race([waiting, outputEnd]);
      if (code !== undefined) return code;
      for (let pause = FIRST_LOOK_MS, past = 0; past < END_LOOKS_MS; past += pause, pause *= 1.5) {
        const { State } = await api.json<{ State: ContainerState }>("GET", `/containers/${id}/json`, { signal });
        if (!State.Running) return State.ExitCode;
        await delay(pause, undefined, { signal, ref: false });
      }
      return undefined;
    } finally {
      enough.abort();
    }
  }

  /** Reads until the container has ended. Its stream can end before, with the connection: it is then opened again. */
  async #read(): Promise<void> {
    const { api, id, log } = this.#of;
    const { signal } = this.#over;
    let wasTold = false;
    for (let pause = AWAY_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      if (await this.#readStream()) pause = AWAY_MS;
      this.#outputEnd.resolve();
      this.#outputEnd = Promise.withResolvers();
      // Mostly it is the container's end, which is known in a moment.
      await delay(pause, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        // Podman makes a container that has ended ready to start again for who attaches to it, and forgets how it ended.
        const { State } = await api.json<{ State: ContainerState }>("GET", `/containers/${id}/json`, { signal });
        if (!State.Running) continue;
        this.#output = await attach(api, id, signal);
        if (!wasTold)
          log(`the output of container ${id.slice(0, 12)} broke off and is read again: lines may be missing`);
        wasTold = true;
      } catch {
        // the engine is away, or the container has ended meanwhile: its end is waited for elsewhere
      }
    }
  }

  /** Reads one stream to its end. Whether there was anything in it. */
  async #readStream(): Promise<boolean> {
    const splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
    let hadBytes = false;
    const pass = async (stream: "stdout" | "stderr", lines: string[]) => {
      if (lines.length === 0) return;
      const time = this.#of.now();
      if (stream === "stderr" && lines.some((line) => this.#saysTaken(line))) this.#addressTaken = true;
      await this.#of.sink(lines.map((line) => ({ time, stream, line })));
    };
    try {
      // The loop asks for more only after the lines were taken. The engine then holds what the container writes, up to a
      // megabyte, and after that the container has to wait.
      for await (const { stream, bytes } of framesOf(this.#output)) {
        hadBytes = true;
        await pass(stream, splitters[stream].push(bytes));
      }
    } catch {
      // destroyed after the container ended, or the engine went away
    }
    for (const stream of ["stdout", "stderr"] as const) await pass(stream, splitters[stream].flush());
    return hadBytes;
  }

  #saysTaken(line: string): boolean {
    return line.includes("EADDRINUSE") && line.includes(String(this.port));
  }

  /** Whether that process is the container's, and not one of the same number on another machine. */
  #isHere(pid: number): boolean {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(this.#of.id);
    } catch {
      return false;
    }
  }
}
