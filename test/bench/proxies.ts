/** Proxies before one upstream server, each on a core of its own, and the load on them. */
import { type ChildProcess, execFile, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../e2e/harness.ts";
import { plainEnvironment } from "./process-time.ts";
import { family, processorTime } from "./programs.ts";

/** The core of the proxy under load, and the core of everything else. */
const PROXY_CORE = "0";
const OTHER_CORE = "1";
/** Connections of the load; each waits for its answer before it asks again. */
const CONNECTIONS = 64;

/** What one run of the load showed. */
export interface Load {
  /** Requests a second. */
  rate: number;
  /** 99 of 100 requests were answered within this time, in milliseconds. */
  p99: number;
  /** Processor time of the proxy for a request, in microseconds. */
  cpu: number;
}

/** A server that can be put under load. */
interface Target {
  port: number;
  host: string;
  pid: number;
}

/** The upstream and all proxies before it. */
export class Proxies {
  readonly #dir = mkdtempSync(join(tmpdir(), "appctl-bench-"));
  readonly #children: ChildProcess[] = [];
  readonly #targets = new Map<string, Target>();

  /** Starts everything; `bodies` are the sizes that `/<name>` answers with, in bytes. */
  static async start(bodies: Record<string, number>): Promise<Proxies> {
    const proxies = new Proxies();
    try {
      await proxies.#start(bodies);
      return proxies;
    } catch (error) {
      await proxies.close();
      throw error;
    }
  }

  /** Loads the target `name` for some seconds. Every answer has to be a 200. */
  async load(name: string, path: string, seconds: number): Promise<Load> {
    const target = this.#targets.get(name);
    if (!target) throw new Error(`no proxy ${name}`);
    const pids = family(target.pid);
    const time = () => pids.reduce((sum, pid) => sum + processorTime(pid), 0);
    const before = time();
    const { stdout } = await promisify(execFile)("taskset", [
      ...["-c", OTHER_CORE, "wrk", "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout", "10s"],
      ...["-s", join(this.#dir, "report.lua"), "-H", `Host: ${target.host}`, `http://127.0.0.1:${target.port}${path}`],
    ]);
    const cpu = time() - before;
    const report = JSON.parse(stdout.slice(stdout.lastIndexOf("{"))) as Record<
      "requests" | "us" | "p99" | "errors",
      number
    >;
    if (report.errors > 0) throw new Error(`${name} failed ${report.errors} of ${report.requests} requests`);
    return {
      rate: report.requests / (report.us / 1e6),
      p99: report.p99 / 1000,
      cpu: (cpu * 1000) / report.requests,
    };
  }

  /** Process id of a target, for those who look closer. */
  pidOf(name: string): number {
    return this.#targets.get(name)?.pid ?? 0;
  }

  async close(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      if (child.connected) child.disconnect();
      else child.kill("SIGTERM");
      await ended;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #start(bodies: Record<string, number>): Promise<void> {
    const files = join(this.#dir, "files");
    const socket = join(this.#dir, "upstream.sock");
    mkdirSync(files);
    for (const [name, size] of Object.entries(bodies)) writeFileSync(join(files, name), "x".repeat(size));
    writeFileSync(
      join(this.#dir, "report.lua"),
      `done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"us":%d,"p99":%f,"errors":%d}', summary.requests, summary.duration,
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`,
    );
    // Proxies reach the upstream by its socket, as the gateway reaches a replica; without a proxy the load needs a port.
    const directPort = await freePort();
    const upstream = await this.#nginx(
      "upstream",
      OTHER_CORE,
      `server { listen unix:${socket}; listen 127.0.0.1:${directPort}; root ${files};
        open_file_cache max=10 inactive=1h; open_file_cache_valid 1h; }`,
    );
    this.#targets.set("no proxy", { port: directPort, host: "127.0.0.1", pid: upstream });

    const nginxPort = await freePort();
    const nginx = await this.#nginx(
      "nginx",
      PROXY_CORE,
      `upstream app { server unix:${socket}; keepalive ${CONNECTIONS}; keepalive_requests 1000000000; }
      server { listen 127.0.0.1:${nginxPort};
        location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
          proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
          proxy_set_header X-Request-Id $request_id; } }`,
    );
    this.#targets.set("nginx", { port: nginxPort, host: "web.example", pid: nginx });

    await this.#caddy("caddy", socket, "");
    // Its default is 32 idle connections, so with more clients it connects again and again.
    const tuned = `{\n transport http {\n keepalive_idle_conns_per_host ${CONNECTIONS}\n }\n }`;
    await this.#caddy("caddy, tuned", socket, tuned);

    const ours = fork(join(import.meta.dirname, "gateway-platform.ts"), [socket], {
      env: plainEnvironment(),
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#children.push(ours);
    const [{ host, port }] = (await Promise.race([
      once(ours, "message"),
      once(ours, "exit").then(([code]) => Promise.reject(new Error(`the platform ended with ${code}`))),
    ])) as [{ host: string; port: number }];
    await promisify(execFile)("taskset", ["-a", "-p", "-c", PROXY_CORE, String(ours.pid)]);
    this.#targets.set("appctl", { port, host, pid: ours.pid ?? 0 });

    for (const { port: open } of this.#targets.values()) await listens(open);
  }

  async #caddy(name: string, socket: string, options: string): Promise<void> {
    const port = await freePort();
    const file = join(this.#dir, `Caddyfile-${port}`);
    writeFileSync(
      file,
      `{\n admin off\n auto_https off\n}
http://:${port} {\n bind 127.0.0.1\n reverse_proxy unix/${socket} ${options}\n}\n`,
    );
    const caddy = this.#run(name, PROXY_CORE, ["caddy", "run", "--config", file, "--adapter", "caddyfile"]);
    this.#targets.set(name, { port, host: "web.example", pid: caddy.pid ?? 0 });
  }

  async #nginx(name: string, core: string, http: string): Promise<number> {
    const file = join(this.#dir, `${name}.conf`);
    const own = (what: string) => join(this.#dir, `${name}.${what}`);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (kind) => `${kind}_temp_path ${own(kind)};`,
    );
    writeFileSync(
      file,
      `${userInfo().uid === 0 ? "user root;" : ""} worker_processes 1; daemon off; pid ${own("pid")};
      error_log ${own("error.log")}; events { worker_connections 1024; }
      http { access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; ${temporary.join(" ")} ${http} }\n`,
    );
    return this.#run(name, core, ["nginx", "-e", own("error.log"), "-c", file]).pid ?? 0;
  }

  /** `taskset` becomes the program that it starts, so the process id is the program's. */
  #run(name: string, core: string, command: string[]): ChildProcess {
    const child = spawn("taskset", ["-c", core, ...command], {
      env: { PATH: process.env["PATH"], HOME: this.#dir, XDG_DATA_HOME: this.#dir, XDG_CONFIG_HOME: this.#dir },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#children.push(child);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.once("exit", (code) => {
      if (code) console.error(`${name} ended with ${code}: ${said}`);
    });
    return child;
  }
}

/** Resolves when a port takes connections. */
async function listens(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const socket = connect(port, "127.0.0.1");
    const open = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) return;
    await pause(20);
  }
  throw new Error(`nothing listens on port ${port}`);
}
