/**
 * The way from a container to the platform. The platform listens on 127.0.0.1, which in a container is the container itself;
 * so the runtime listens on this machine's address in the project's network, and passes connections on.
 */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";

/** Name under which Docker Desktop and Podman let a container reach the machine, where a network has no address of it. */
const MACHINE = { docker: "host.docker.internal", podman: "host.containers.internal" };

/** What a container has to know. `hosts` are lines for its /etc/hosts. */
export interface PlatformRelay {
  endpoint: string;
  hosts: string[];
  /** Opens the relay once the first container runs: only then has the machine its address in a network of Podman. */
  afterStart?: () => Promise<unknown>;
}

/** Opens relays. */
export class PlatformRelays {
  readonly #isPodman: boolean;
  readonly #servers = new Map<string, Promise<Server | undefined>>();

  constructor(isPodman: boolean) {
    this.#isPodman = isPodman;
  }

  /** The relay for the containers of a network to what listens at `endpoint`. What is not of this machine needs none. */
  async open(endpoint: string, gateway: string | undefined): Promise<PlatformRelay> {
    const url = new URL(endpoint);
    if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) return { endpoint, hosts: [] };
    const port = Number(url.port || 80);
    const host = url.hostname === "[::1]" ? "::1" : "127.0.0.1";
    if (gateway !== undefined && (await this.#server(gateway, host, port))) {
      url.hostname = gateway;
      return { endpoint: textOf(url), hosts: [] };
    }
    // Only root's Podman has its networks on the machine itself.
    if (gateway !== undefined && this.#isPodman && process.getuid?.() === 0) {
      url.hostname = gateway;
      return { endpoint: textOf(url), hosts: [], afterStart: () => this.#server(gateway, host, port) };
    }
    url.hostname = this.#isPodman ? MACHINE.podman : MACHINE.docker;
    return { endpoint: textOf(url), hosts: this.#isPodman ? [] : [`${MACHINE.docker}:host-gateway`] };
  }

  /** Closes them all. */
  async close(): Promise<void> {
    const servers = await Promise.all(this.#servers.values());
    for (const server of servers) server?.close();
    this.#servers.clear();
  }

  #server(gateway: string, host: string, port: number): Promise<Server | undefined> {
    const key = `${gateway} ${host} ${port}`;
    let server = this.#servers.get(key);
    if (!server) {
      server = listen(gateway, host, port).then((opened) => {
        if (!opened) this.#servers.delete(key);
        return opened;
      });
      this.#servers.set(key, server);
    }
    return server;
  }
}

/** Undefined when the address is not of this machine, as with an engine that runs in a virtual one. */
async function listen(gateway: string, host: string, port: number): Promise<Server | undefined> {
  const server = createServer((from) => {
    const to = connect({ host, port });
    const end = () => {
      from.destroy();
      to.destroy();
    };
    from.on("error", end).on("close", end).pipe(to);
    to.on("error", end).on("close", end).pipe(from);
  });
  server.unref();
  server.listen(port, gateway);
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    // In use: the platform itself listens on every address, so there is a relay already.
    return (error as NodeJS.ErrnoException).code === "EADDRINUSE" ? server : undefined;
  }
}

/** Without the slash at its end, as a platform writes its address. */
function textOf(url: URL): string {
  return url.href.replace(/\/$/, "");
}
