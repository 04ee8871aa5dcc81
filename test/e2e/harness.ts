/** Runs the built CLI as a user does: real processes, a home directory and a port of its own, and a real local platform. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const repository = join(import.meta.dirname, "..", "..");
export const cli = join(repository, "bin", "appctl.js");

/** What a finished command left. */
export interface Result {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** What {@link World.run} may be told. */
export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  /** Another executable than this repository's `bin/appctl.js`. */
  program?: string;
  /** Another user than the one who runs the tests; for root alone. */
  uid?: number;
  /** Runs under this clock, such as `-2d`: the program faketime has to be there. */
  faketime?: string;
}

/** A user with a home directory, a working directory and a local platform on a port of their own. */
export class World {
  readonly home: string;
  readonly env: Record<string, string>;
  readonly port: number;

  private constructor(home: string, port: number) {
    this.home = home;
    this.port = port;
    this.env = {
      HOME: home,
      PATH: process.env["PATH"] ?? "",
      LANG: "C.UTF-8",
      XDG_STATE_HOME: join(home, "state"),
      XDG_CONFIG_HOME: join(home, "config"),
      // Packages resolved and images made by one test file are of no concern to another.
      XDG_CACHE_HOME: join(home, "cache"),
      APPCTL_PORT: String(port),
      // npm keeps its downloads where it always does: the tests are about ours.
      npm_config_cache: join(process.env["HOME"] ?? home, ".npm"),
      npm_config_userconfig: join(process.env["HOME"] ?? home, ".npmrc"),
    };
  }

  static async create(): Promise<World> {
    return new World(mkdtempSync(join(tmpdir(), "appctl-e2e-")), await freePort());
  }

  get state(): string {
    return join(this.home, "state", "appctl");
  }

  get cache(): string {
    return join(this.home, "cache", "appctl");
  }

  /** A folder below the home directory, with files. */
  folder(name: string, files: Record<string, string | Uint8Array> = {}): string {
    const dir = join(this.home, name);
    mkdirSync(dir, { recursive: true });
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), content);
    }
    return dir;
  }

  /** Starts a command; its output can be read while it runs. */
  start(args: string[], options: RunOptions = {}): Running {
    const clock = options.faketime === undefined ? [] : ["faketime", "-f", options.faketime];
    const [program = "", ...rest] = [...clock, process.execPath, options.program ?? cli, ...args];
    return new Running(spawn(program, rest, this.#spawnOptions(options)), options.stdin);
  }

  /** Runs a command to its end. */
  run(args: string[], options: RunOptions = {}): Promise<Result> {
    return this.start(args, options).result;
  }

  /** Runs a command that has to succeed; returns its standard output. */
  async ok(args: string[], options: RunOptions = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.code !== 0) {
      throw new Error(
        `appctl ${args.join(" ")} ended with ${result.code ?? result.signal}\n${result.stdout}\n${result.stderr}`,
      );
    }
    return result.stdout;
  }

  /** Runs a command with `-o json` that has to succeed. */
  async json<T>(args: string[], options: RunOptions = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, "-o", "json"], options)) as T;
  }

  /** Stops the platform, if one runs, and removes the home directory. */
  async close(): Promise<void> {
    await this.run(["platform", "stop"]);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  #spawnOptions(options: RunOptions): SpawnOptions {
    return {
      cwd: options.cwd ?? this.home,
      env: { ...this.env, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    };
  }
}

/** A command under way. */
export class Running {
  readonly process: ChildProcess;
  readonly result: Promise<Result>;
  stdout = "";
  stderr = "";
  readonly #listeners = new Set<() => void>();

  constructor(child: ChildProcess, stdin: string | Uint8Array | undefined) {
    this.process = child;
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      this.stdout += chunk;
      for (const listener of this.#listeners) listener();
    });
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.stderr += chunk;
      for (const listener of this.#listeners) listener();
    });
    if (stdin !== undefined) child.stdin?.end(stdin);
    this.result = once(child, "close").then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Waits until the output has a text; fails when the command ends without it. */
  async until(text: string | RegExp): Promise<void> {
    const seen = () => {
      const output = this.stdout + this.stderr;
      return typeof text === "string" ? output.includes(text) : text.test(output);
    };
    let listener: () => void = () => undefined;
    const shown = new Promise<void>((resolve) => {
      listener = () => seen() && resolve();
    });
    this.#listeners.add(listener);
    listener();
    const ended = this.result.then((result) => {
      if (!seen()) throw new Error(`ended with ${result.code} before ${text}:\n${result.stdout}\n${result.stderr}`);
    });
    await Promise.race([shown, ended]);
    this.#listeners.delete(listener);
  }
}

/** An answer of {@link get}. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Asks an address; `*.localhost` is this machine, as for curl and browsers. */
export function get(url: string, headers: Record<string, string> = {}, method = "GET", body?: string): Promise<Answer> {
  const { hostname, port, host, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const loopback = /(?:^|\.)localhost$/.test(hostname) ? "127.0.0.1" : hostname;
    const outgoing = request(
      { host: loopback, port, path: pathname + search, method, headers: { host, ...headers }, agent: false },
      async (response) => {
        let text = "";
        try {
          for await (const chunk of response.setEncoding("utf8")) text += chunk;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        } catch (error) {
          reject(error);
        }
      },
    );
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** A port that nobody listens on: the kernel's word. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
