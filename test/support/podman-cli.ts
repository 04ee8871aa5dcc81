import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** Podman without a service, on directories of a test's own. Its containers have no network. */
export interface PodmanCli {
  /** Runs it; gives its output, and rejects when it does not exit 0. */
  run(...args: string[]): Promise<string>;
  /** Lets go of what it has mounted. */
  close(): void;
}

/** Why this machine cannot run its containers; undefined when it can. */
export function noPodmanCli(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can run podman in directories of its own";
  const missing = ["podman", "runc"].filter((program) => spawnSync(program, ["--version"]).error);
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : undefined;
}

/** `dir` is an empty folder for its images, its containers and its configuration; `insecure` a registry without TLS. */
export function podmanCli(dir: string, insecure: string): PodmanCli {
  const at = (name: string) => join(dir, name);
  mkdirSync(at("cwd"));
  // Limits that root need not raise, no systemd, and no network that would change the machine.
  writeFileSync(
    at("containers.conf"),
    `[containers]
log_driver = "k8s-file"
netns = "none"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`,
  );
  const storage = `driver = "overlay"\ngraphroot = "${at("graph")}"\nrunroot = "${at("run")}"\n`;
  writeFileSync(at("storage.conf"), `[storage]\n${storage}`);
  writeFileSync(at("registries.conf"), `[[registry]]\nlocation = "${insecure}"\ninsecure = true\n`);
  writeFileSync(at("policy.json"), `{"default":[{"type":"insecureAcceptAnything"}]}`);
  const env = {
    PATH: process.env["PATH"],
    HOME: dir,
    CONTAINERS_CONF: at("containers.conf"),
    CONTAINERS_STORAGE_CONF: at("storage.conf"),
    CONTAINERS_REGISTRIES_CONF: at("registries.conf"),
  };
  return {
    async run(...args) {
      // It leaves a file in its working directory when a container has used up its memory.
      const { stdout } = await promisify(execFile)("podman", args, { env, cwd: at("cwd") });
      return stdout.trim();
    },
    close() {
      // Podman mounts its storage onto itself.
      spawnSync("umount", ["-l", at("graph/overlay")]);
    },
  };
}
