/** Podman's service, on directories of a test's own. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dockerd } from "./dockerd.ts";
import { missingForUsers } from "./rootless.ts";

/** What it takes to run it with networks in a network namespace of its own, by program. */
const PROGRAMS = ["podman", "runc", "iptables", "ip", "unshare", "setpriv"];
const CNI_PLUGINS = ["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"];
const NETAVARK = ["/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"];

/** What makes its networks: CNI's plugins in older ones, netavark in those of today. */
export type NetworkBackend = "cni" | "netavark";

/** How it is to be run. `rootless`: by a user who is not root. */
export interface PodmanNeeds {
  backend: NetworkBackend;
  rootless?: boolean;
}

/** Why this machine cannot have one; undefined when it can. */
export function noPodman({ backend, rootless = false }: PodmanNeeds): string | undefined {
  if (process.getuid?.() !== 0) return "only root can start it with networks";
  const missing = PROGRAMS.filter((program) => spawnSync(program, ["--version"]).error);
  const [plugins, name] = backend === "cni" ? [CNI_PLUGINS, "containernetworking-plugins"] : [NETAVARK, "netavark"];
  if (!plugins.some((plugin) => existsSync(plugin))) missing.push(name);
  if (rootless) missing.push(...missingForUsers());
  return missing.length > 0 ? `not there: ${missing.join(", ")}` : undefined;
}

/**
 * Starts it, and waits until it listens. Its networks change the machine: to be called in a network namespace of one's own. Who
 * is not root gets a rootless one.
 */
export async function startPodman(backend: NetworkBackend): Promise<Dockerd> {
  const dir = mkdtempSync(join(tmpdir(), "ae-podman-"));
  const rootless = process.getuid?.() !== 0;
  const at = (name: string) => join(dir, name);
  mkdirSync(at("networks"));
  mkdirSync(at("runtime"), { mode: 0o700 });
  writeFileSync(
    at("containers.conf"),
    // Limits that root need not raise, and no systemd.
    `[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "${backend}"
network_config_dir = "${at("networks")}"
`,
  );
  writeFileSync(
    at("storage.conf"),
    `[storage]\ndriver = "overlay"\ngraphroot = "${at("graph")}"\nrunroot = "${at("run")}"\n`,
  );
  const log = openSync(at("log"), "a");
  const socketPath = at("podman.sock");
  const service = spawn("podman", ["system", "service", "--time=0", `unix://${socketPath}`], {
    cwd: dir,
    env: {
      ...process.env,
      CONTAINERS_CONF: at("containers.conf"),
      CONTAINERS_STORAGE_CONF: at("storage.conf"),
      ...(rootless && { XDG_RUNTIME_DIR: at("runtime") }),
    },
    stdio: ["ignore", log, log],
  });
  const ended = new Promise<void>((resolve) => service.once("exit", () => resolve()));
  while (!existsSync(socketPath)) {
    if (service.exitCode !== null) throw new Error(`podman ended:\n${readFileSync(at("log"), "utf8")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    socketPath,
    env: { DOCKER_HOST: `unix://${socketPath}` },
    async stop() {
      service.kill("SIGTERM");
      await ended;
      // What containers of a rootless one wrote belongs to other users: it goes with the directory of who started the run.
      if (rootless) return;
      // Podman mounts its storage onto itself.
      spawnSync("umount", ["-l", at("graph/overlay")]);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
