import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A step that is held. */
export interface Hold {
  /** The process id of the first replica that arrived. */
  arrived: Promise<number>;
  release(): void;
}

/**
 * Where the tests' apps ask before each step of their lives: the answer comes at once, unless a test holds that step. So a
 * test stops an app at a place, and not after a time; and it works for an app that may read no file.
 */
export class Steps {
  readonly #server: Server;
  readonly #holds = new Map<string, { arrive(pid: number): void; released: Promise<void> }>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", async (req, res) => {
      const { pathname, searchParams } = new URL(req.url ?? "/", "http://steps");
      const hold = this.#holds.get(pathname.slice(1));
      hold?.arrive(Number(searchParams.get("pid")));
      await hold?.released;
      res.end("go on");
    });
  }

  static async open(): Promise<Steps> {
    const server = createServer({ keepAlive: false }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Steps(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Holds whoever arrives at `step` (`load/v2`, say) from now on. */
  hold(step: string): Hold {
    const arrived = Promise.withResolvers<number>();
    const released = Promise.withResolvers<void>();
    this.#holds.set(step, { arrive: arrived.resolve, released: released.promise });
    return {
      arrived: arrived.promise,
      release: () => {
        this.#holds.delete(step);
        released.resolve();
      },
    };
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** An app that answers `text`. It asks at `load/<text>`, at `proof/<text>` and, for /slow, at `slow/<text>`. */
  app(name: string, text: string): string {
    return `import { App } from "appctl";
const step = async (step: string): Promise<void> => {
  // Not while the file is only described.
  if (!process.env.K_SERVICE) return;
  await (await fetch("http://127.0.0.1:${this.port}/" + step + "/${text}?pid=" + process.pid)).text();
};
await step("load");
export default new App({
  name: "${name}",
  requiresAuth: false,
  frameworkApp: {
    async fetch(request: Request): Promise<Response> {
      if (request.headers.get("user-agent") === "appctl-probe") await step("proof");
      if (new URL(request.url).pathname === "/slow") await step("slow");
      return new Response("${text}");
    },
  },
});
`;
  }
}
