import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A running CNCF distribution registry, Debian's `docker-registry`, on a free port of 127.0.0.1. */
export interface DockerRegistry {
  port: number;
  /** `127.0.0.1:<port>`. */
  host: string;
  close(): Promise<void>;
}

/** How {@link startDockerRegistry} starts it. */
export interface DockerRegistryOptions {
  /** An empty folder, for its files. */
  dir: string;
  /** Lines of an htpasswd file (bcrypt); or its token service. */
  auth?: { htpasswd: string } | { realm: string; service: string; issuer: string; rootcertbundle: string };
  /** Files of its certificate and key. */
  tls?: { certificate: string; key: string };
}

/** The password `open sesame` of the user `ann`, as htpasswd keeps it. */
export const HTPASSWD = "ann:$2b$04$AyGLXC9619dId41gEDSEO./cSpPPz.PjAhDmZR5HstjCfEKbgiCf6\n";

/** True when `docker-registry` is installed; prints why tests are left out when it is not. */
export function hasDockerRegistry(): boolean {
  const found = spawnSync("docker-registry", ["--version"]).error === undefined;
  if (!found) console.warn("left out: docker-registry is not installed (apt-get install docker-registry)");
  return found;
}

/** Starts a registry and waits until it listens. */
export async function startDockerRegistry({ dir, auth, tls }: DockerRegistryOptions): Promise<DockerRegistry> {
  if (auth && "htpasswd" in auth) await writeFile(join(dir, "htpasswd"), auth.htpasswd);
  const config = {
    version: "0.1",
    log: { level: "info", formatter: "json", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, "data") }, delete: { enabled: true } },
    http: { addr: "127.0.0.1:0", secret: "of this test", ...(tls ? { tls } : {}) },
    ...(auth
      ? { auth: "htpasswd" in auth ? { htpasswd: { realm: "test", path: join(dir, "htpasswd") } } : { token: auth } }
      : {}),
  };
  const file = join(dir, "config.yml");
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  const child = spawn("docker-registry", ["serve", file], { stdio: ["ignore", "ignore", "pipe"] });
  const port = await listening(child);
  return {
    port,
    host: `127.0.0.1:${port}`,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}

/** The port that it says it listens on. Its log is read to the end, so that it never waits for a reader. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const lines: string[] = [];
    const reader = createInterface({ input: child.stderr as NodeJS.ReadableStream });
    reader.on("line", (line) => {
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port) resolve(Number(port));
      else if (lines.length < 50) lines.push(line);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`docker-registry ended with ${code}:\n${lines.join("\n")}`)));
  });
}
