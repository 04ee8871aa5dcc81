/** One raw server, and two clients of it: ours and Node's own (llhttp, strict), which is the oracle. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { ResponseHandler } from "../../src/gateway/upstream/connection.ts";
import { UpstreamPool } from "../../src/gateway/upstream/pool.ts";
import type { ResponseHead } from "../../src/gateway/upstream/response-head.ts";

/** What is asked for; `upgrade` asks for a change of protocols. */
export type Asked = "get" | "head" | "upgrade";

/** What the server sends for one request: the pieces, each in a turn of its own, and then perhaps the end. */
export interface Play {
  asked: Asked;
  pieces: Buffer[];
  end: boolean;
}

/** What a client made of it. Bodies are latin1. */
export type Outcome =
  | { refused: string }
  | {
      refused?: undefined;
      interim: number[];
      status: number;
      fields: [string, string][];
      body: string;
      trailers: string[];
      /** Whether the client keeps the connection for another request. */
      reuse: boolean;
    };

/** The server and both clients. Neither client keeps a connection from one play to the next, unless it is told to. */
export class Oracle {
  /** Connections that the server has taken. */
  connections = 0;
  readonly #dir = mkdtempSync(join(tmpdir(), "uo-"));
  readonly #socketPath = join(this.#dir, "s");
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #pool = new UpstreamPool();
  readonly #keep: boolean;
  readonly #agent: Agent & { kept: number };
  #play: Play = { asked: "get", pieces: [], end: true };

  constructor({ keep }: { keep: boolean }) {
    this.#keep = keep;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#agent = countingAgent(keep);
  }

  async start(): Promise<this> {
    this.#server.listen(this.#socketPath);
    await once(this.#server, "listening");
    return this;
  }

  /** The same bytes, to each of the two. */
  async both(play: Play): Promise<{ ours: Outcome; node: Outcome }> {
    this.#play = play;
    const [ours, node] = await Promise.all([this.#ours(play), this.#node(play)]);
    return { ours, node };
  }

  close(): void {
    this.#pool.close();
    this.#agent.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    rmSync(this.#dir, { recursive: true });
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // a client that refuses breaks the connection
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("end", () => socket.end());
    let received = "";
    socket.on("data", async (bytes) => {
      received += bytes.toString("latin1");
      if (!received.endsWith("\r\n\r\n")) return;
      received = "";
      const { pieces, end } = this.#play;
      for (const piece of pieces) {
        if (!socket.writable) return;
        socket.write(piece);
        await turn();
      }
      if (end) socket.end();
    });
  }

  #ours({ asked }: Play): Promise<Outcome> {
    const connection = this.#pool.take({ socketPath: this.#socketPath }, !this.#keep);
    const upgrade = asked === "upgrade" ? "connection: upgrade\r\nupgrade: x\r\n" : "";
    return new Promise((resolve) => {
      const interim: number[] = [];
      let head: ResponseHead | undefined;
      let body = "";
      const handler: ResponseHandler = {
        onInformation: (one) => void interim.push(one.status),
        onHead: (final) => {
          head = final;
        },
        onBody: (buffer, start, end) => {
          body += buffer.toString("latin1", start, end);
        },
        onPause: () => undefined,
        onDrain: () => undefined,
        onFailure: (error) => resolve({ refused: error.message }),
        onEnd: (trailers) => {
          const reuse = this.#pool.idle > 0;
          if (!this.#keep || head?.status === 101) connection.destroy();
          const { status, fields: flat } = head as ResponseHead;
          resolve({ interim, status, fields: pairs(flat), body, trailers: [...trailers], reuse });
        },
      };
      connection.send(
        `${asked === "head" ? "HEAD" : "GET"} / HTTP/1.1\r\nhost: a\r\n${upgrade}\r\n`,
        { toHead: asked === "head", toUpgrade: asked === "upgrade", hasBody: false },
        handler,
      );
    });
  }

  #node({ asked }: Play): Promise<Outcome> {
    const kept = this.#agent.kept;
    return new Promise((resolve) => {
      const interim: number[] = [];
      const outgoing = request({
        socketPath: this.#socketPath,
        agent: this.#agent,
        method: asked === "head" ? "HEAD" : "GET",
        headers: asked === "upgrade" ? { connection: "upgrade", upgrade: "x" } : {},
        // No smaller than ours: a head that is only long is no difference in framing.
        maxHeaderSize: 1 << 20,
      });
      const done = async (response: IncomingMessage, body: string) => {
        // The agent takes a connection back, or does not, in the turn after the response's end.
        await turn();
        const { statusCode: status = 0, rawHeaders, rawTrailers } = response;
        const reuse = this.#agent.kept > kept;
        resolve({ interim, status, fields: pairs(rawHeaders), body, trailers: rawTrailers, reuse });
      };
      outgoing.on("information", ({ statusCode }) => interim.push(statusCode));
      outgoing.on("error", (error: NodeJS.ErrnoException) => resolve({ refused: error.code ?? error.message }));
      // A 101 that nobody asked for: Node ends the request with neither a response nor an error.
      let answered = false;
      outgoing.on("close", () => {
        if (!answered) resolve({ refused: "closed without a response" });
      });
      outgoing.on("response", (response) => {
        answered = true;
        let body = "";
        response.on("data", (bytes: Buffer) => {
          body += bytes.toString("latin1");
        });
        response.on("error", (error: NodeJS.ErrnoException) => resolve({ refused: error.code ?? error.message }));
        response.on("end", () => {
          if (response.complete) void done(response, body);
          else resolve({ refused: "cut" });
        });
      });
      if (asked === "upgrade") {
        outgoing.on("upgrade", (response, socket, early) => {
          answered = true;
          let body = early.toString("latin1");
          socket.on("data", (bytes: Buffer) => {
            body += bytes.toString("latin1");
          });
          socket.on("error", () => undefined);
          socket.on("end", () => {
            socket.destroy();
            void done(response, body);
          });
        });
      }
      outgoing.end();
    });
  }
}

/** An agent that counts the connections which it would keep. */
function countingAgent(keep: boolean): Agent & { kept: number } {
  const agent = Object.assign(new Agent({ keepAlive: true, maxFreeSockets: 1 }), { kept: 0 });
  const prototype = Agent.prototype as unknown as { keepSocketAlive(socket: Socket): boolean };
  Object.assign(agent, {
    keepSocketAlive(socket: Socket) {
      agent.kept++;
      return prototype.keepSocketAlive.call(agent, socket) && keep;
    },
  });
  return agent;
}

function pairs(flat: readonly string[]): [string, string][] {
  const made: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) made.push([flat[i] as string, flat[i + 1] as string]);
  return made;
}
