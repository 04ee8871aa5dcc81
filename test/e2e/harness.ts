/** Runs the built CLI as a user does: real processes, a home directory and a port of its own, and a real local platform. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { pathsOf } from "../../src/core/paths.ts";
import { register } from "../support/canary.ts";
import { ANY, CommandLines, expectNoSecrets } from "../support/secret-search.ts";

export const repository = join(import.meta.dirname, "..", "..");
export const cli = join(repository, "bin", "appctl.js");

/** Name of the keys that users have in `APPCTL_API_KEY` and the file that `APPCTL_API_KEY_FILE` names. */
const USERS_KEY = "the API key of a user";

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
  /** Another user of the system whose world it is; only root can make one. */
  readonly uid: number | undefined;
  readonly #running: { place: string; running: Running }[] = [];
  readonly #commandLines = new CommandLines();
  /** Exact places of secrets: files that the user wrote them to, and the key that a command shows once. */
  readonly #allowed = new Map<string, Set<string>>();

  private constructor(home: string, port: number, uid: number | undefined) {
    this.home = home;
    this.port = port;
    this.uid = uid;
    this.env = {
      HOME: home,
      // As installed globally, so that commands to type next begin with `appctl`.
      PATH: [join(home, "bin"), process.env["PATH"] ?? ""].join(delimiter),
      LANG: "C.UTF-8",
      XDG_STATE_HOME: join(home, "state"),
      XDG_CONFIG_HOME: join(home, "config"),
      // Packages resolved and images made by one test file are of no concern to another.
      XDG_CACHE_HOME: join(home, "cache"),
      APPCTL_PORT: String(port),
      // npm keeps its downloads where it always does: the tests are about ours.
      npm_config_cache: join(uid === undefined ? (process.env["HOME"] ?? home) : home, ".npm"),
      npm_config_userconfig: join(process.env["HOME"] ?? home, ".npmrc"),
    };
  }

  static async create({ uid }: { uid?: number } = {}): Promise<World> {
    const world = new World(mkdtempSync(join(tmpdir(), "appctl-e2e-")), await freePort(), uid);
    mkdirSync(join(world.home, "bin"));
    symlinkSync(cli, join(world.home, "bin", "appctl"));
    world.own();
    return world;
  }

  /** Gives everything below the home directory to the world's user, when it is another one. */
  own(dir = this.home): void {
    if (this.uid === undefined) return;
    chownSync(dir, this.uid, this.uid);
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) this.own(join(dir, entry.name));
      else chownSync(join(dir, entry.name), this.uid, this.uid);
    }
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
    this.#registerSecrets(args, options);
    const clock = options.faketime === undefined ? [] : ["faketime", "-f", options.faketime];
    const [program = "", ...rest] = [...clock, process.execPath, options.program ?? cli, ...args];
    const running = new Running(spawn(program, rest, this.#spawnOptions(options)), options.stdin);
    this.#running.push({ place: `#${this.#running.length} appctl ${args.slice(0, 3).join(" ")}`, running });
    return running;
  }

  /** Says that a file, or `argv`, holds the user's own secret of that name. */
  allow(place: string, name: string): void {
    this.#allowed.set(place, new Set([...(this.#allowed.get(place) ?? []), name]));
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

  /** Stops the platform, if one runs, looks for secrets in all that is left, and removes the home directory. */
  async close(): Promise<void> {
    await this.run(["platform", "stop"]);
    try {
      this.#search();
    } finally {
      this.#remove();
    }
  }

  #remove(): void {
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    // What a platform of root keeps outside of home directories; the next platform of the machine would sweep it, too.
    const { shared } = pathsOf(this.env);
    if (shared !== undefined) rmSync(shared, { recursive: true, force: true });
  }

  #search(): void {
    for (const [file, name] of [
      ["admin.key", "the local admin key"],
      ["master.key", "the master key"],
    ] as const) {
      const path = join(this.state, file);
      if (!existsSync(path)) continue;
      this.allow(path, register(name, readFileSync(path, "utf8").trim()));
    }
    const texts: [string, string][] = [];
    for (const { place, running } of this.#running) {
      // A key is shown once, by the command that makes it, on its standard output.
      for (const [key] of running.shownKeys()) {
        this.allow(`${place} (stdout)`, register(`an API key of ${place}`, key));
        this.allow(`${place} (stdout)`, USERS_KEY); // one that was mistyped on purpose begins like this one
      }
      texts.push([`${place} (stdout)`, running.stdout], [`${place} (stderr)`, running.stderr]);
    }
    for (const line of this.#commandLines.stop()) texts.push(["argv", line]);
    expectNoSecrets({
      what: `the world ${this.home}`,
      dirs: [this.home, ...outside(pathsOf(this.env).shared), ...memoryFolders()],
      texts,
      allowed: this.#allowed,
    });
  }

  /** Every value that a command is given as a secret is one, by whichever way it comes. */
  #registerSecrets(args: string[], { stdin, env, cwd = this.home }: RunOptions): void {
    const file = (path: string) => {
      const place = resolve(cwd, path);
      if (path === "-") {
        if (stdin !== undefined) register("a secret from stdin", stdin);
      } else if (existsSync(place)) {
        register(`a secret in ${path}`, readFileSync(place));
        this.allow(place, ANY); // the user's own file of secrets
      }
    };
    if (env?.["APPCTL_API_KEY"]) register(USERS_KEY, env["APPCTL_API_KEY"]);
    const keyFile = env?.["APPCTL_API_KEY_FILE"];
    if (keyFile !== undefined && existsSync(keyFile)) {
      register(USERS_KEY, readFileSync(keyFile, "utf8").trim());
      this.allow(keyFile, ANY);
    }
    args.forEach((arg, index) => {
      const next = args[index + 1] ?? "";
      if (arg === "--value-file") file(next);
      if (arg === "--value") {
        this.allow("argv", register("a secret in argv", next));
      }
      if (arg !== "--secret") return;
      const source = next.slice(next.indexOf("=") + 1);
      if (source === "-") file("-");
      else if (source.startsWith("@")) file(source.slice(1));
      else if (source.startsWith("env:")) {
        const value = env?.[source.slice(4)];
        if (value !== undefined) register(`a secret from ${source}`, value);
      }
    });
  }

  #spawnOptions(options: RunOptions): SpawnOptions {
    const uid = options.uid ?? this.uid;
    return {
      cwd: options.cwd ?? this.home,
      env: { ...this.env, ...options.env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
      stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    };
  }
}

/** A folder that may be there. */
function outside(dir: string | undefined): string[] {
  return dir !== undefined && existsSync(dir) ? [dir] : [];
}

/** Where mounted secrets lie while an app runs: by now there is none of ours. */
function memoryFolders(): string[] {
  if (!existsSync("/dev/shm")) return [];
  return readdirSync("/dev/shm")
    .filter((name) => name.startsWith("appctl"))
    .map((name) => join("/dev/shm", name));
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

  /** API keys on standard output of a command that makes one. */
  shownKeys(): RegExpMatchArray[] {
    const makes = this.process.spawnargs.includes("create");
    return makes ? [...this.stdout.matchAll(/appctl_[A-Za-z0-9_-]{40,}/g)] : [];
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
