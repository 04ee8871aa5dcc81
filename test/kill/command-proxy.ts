import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** One exchange between a command and the platform. */
export interface Exchange {
  method: string;
  path: string;
  /** The answer's body, when it is there; for `answered` alone. */
  body?: string;
}

/** Moments of an exchange: the request has come, half of its body was passed on, the platform has answered. */
export type Moment = "asked" | "halfway" | "answered";

/** Stands between a command and the platform and tells of each moment before it goes on; what `watch` says `stop` to ends there. */
export class CommandProxy {
  readonly #server: Server;
  #watch: (moment: Moment, exchange: Exchange) => "go on" | "stop" = () => "go on";

  private constructor(server: Server) {
    this.#server = server;
  }

  /** A proxy to the platform on `port`. */
  static async open(port: number): Promise<CommandProxy> {
    const server = createServer();
    const proxy = new CommandProxy(server);
    server.on("request", async (req, res) => {
      const exchange = { method: req.method ?? "", path: req.url ?? "" };
      const isAlive = (moment: Moment, more: Partial<Exchange> = {}) =>
        proxy.#watch(moment, { ...exchange, ...more }) === "go on";
      if (!isAlive("asked")) return res.destroy();
      const upstream = request({
        host: "127.0.0.1",
        port,
        method: req.method,
        path: req.url,
        agent: false,
        headers: { ...req.headers, host: `127.0.0.1:${port}`, connection: "close" },
      });
      upstream.on("error", () => res.destroy());
      upstream.on("response", async (response) => {
        const body = await textOf(response).catch(() => undefined);
        if (body === undefined || !isAlive("answered", { body: body.toString() })) return res.destroy();
        res.writeHead(response.statusCode ?? 502, response.headers).end(body);
      });
      const sent = await textOf(req).catch(() => undefined);
      if (sent === undefined) return upstream.destroy();
      const half = sent.length >> 1;
      if (half > 0) await new Promise((resolve) => upstream.write(sent.subarray(0, half), resolve));
      if (!isAlive("halfway")) return upstream.destroy();
      upstream.end(sent.subarray(half));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Asks `watch` at each moment from now on. */
  watch(watch: (moment: Moment, exchange: Exchange) => "go on" | "stop"): void {
    this.#watch = watch;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function textOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}
