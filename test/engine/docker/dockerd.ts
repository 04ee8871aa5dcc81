/** A Docker engine of a test file's own, in a mode that changes nothing on the machine: without bridge and firewall rules. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import { missingForUsers } from "./rootless.ts";

/** A running engine. */
export interface Dockerd {
  socketPath: string;
  /** What a platform's environment has to say. */
  env: NodeJS.ProcessEnv;
  /** Ends it and removes all that it had. */
  stop(): Promise<void>;
}

/** Why this machine cannot have one; undefined when it can. */
export function noDockerd(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can start dockerd";
  return spawnSync("dockerd", ["--version"]).error ? "dockerd is not installed (docker.io)" : undefined;
}

/** Arguments of the mode without a bridge. */
export const GENTLE = [
  "--bridge=none",
  ...["iptables", "ip6tables", "ip-forward", "ip-masq", "userland-proxy"].map((name) => `--${name}=false`),
];

/** Docker's script that starts it for a user who is not root: where Docker's packages have it, and where Debian's do. */
const ROOTLESS = ["/usr/bin/dockerd-rootless.sh", "/usr/share/docker.io/contrib/dockerd-rootless.sh"];

/** Why this machine cannot have one that a user starts; undefined when it can. The run itself needs root, see `nested-run.ts`. */
export function noRootlessDockerd(): string | undefined {
  const missing = missingForUsers();
  if (spawnSync("rootlesskit", ["--version"]).error) missing.push("rootlesskit");
  if (!ROOTLESS.some((script) => existsSync(script))) missing.push("dockerd-rootless.sh");
  return noDockerd() ?? (missing.length > 0 ? `not there: ${missing.join(", ")}` : undefined);
}

/** Starts it, and waits until it answers. Who is not root gets a rootless one. */
export async function startDockerd(args: readonly string[] = GENTLE): Promise<Dockerd> {
  const rootless = process.getuid?.() !== 0;
  const dir = mkdtempSync(join(tmpdir(), "ae-dockerd-"));
  const at = (name: string) => join(dir, name);
  const socketPath = at("docker.sock");
  const log = openSync(at("log"), "a");
  if (rootless) mkdirSync(at("runtime"), { mode: 0o700 });
  const daemon = spawn(
    rootless ? (ROOTLESS.find((script) => existsSync(script)) ?? "") : "dockerd",
    [
      ...["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")],
      ...["--host", `unix://${socketPath}`, ...args],
    ],
    {
      stdio: ["ignore", log, log],
      detached: true,
      env: { ...process.env, ...(rootless && { XDG_RUNTIME_DIR: at("runtime") }) },
    },
  );
  const ended = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  await untilItAnswers(socketPath, daemon, () => readFileSync(at("log"), "utf8"));
  return {
    socketPath,
    env: { DOCKER_HOST: `unix://${socketPath}` },
    async stop() {
      daemon.kill("SIGTERM");
      await ended;
      // What containers of a rootless one wrote belongs to other users: it goes with the directory of who started the run.
      if (rootless) return;
      for (const mount of mountsBelow(dir)) spawnSync("umount", ["-l", mount]);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

async function untilItAnswers(socketPath: string, daemon: ChildProcess, log: () => string): Promise<void> {
  for (;;) {
    if (daemon.exitCode !== null) throw new Error(`dockerd ended:\n${log().slice(-4000)}`);
    if (existsSync(socketPath)) {
      const api = await EngineApi.connect(socketPath).catch(() => undefined);
      api?.close();
      if (api) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Deepest first. */
function mountsBelow(dir: string): string[] {
  const points = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return points.filter((point) => point.startsWith(`${dir}/`)).sort((a, b) => b.length - a.length);
}
