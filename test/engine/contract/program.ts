/**
 * The program that the contract's cases run: the same text on every engine, in a process, in a container or in the fake. What
 * it does at its start and at SIGTERM is its behaviour; all else it is asked for by requests.
 *
 * `GET /` answers the behaviour's text, `/life` a text that is new for each start, `/env` its environment as JSON,
 * `/file?env=NAME` the bytes of the file whose path stands in NAME, `/in-memory?env=NAME` whether it lies in memory. `POST /print?stream=stderr` prints the body, `/echo`
 * answers at once with a head and with the body when it is whole, `/exit?code=3` ends without an answer, `/hoard` takes memory
 * without end. A WebSocket echoes.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";

/** What a program does by itself. It is JSON, so that it can be a file of an image. */
export interface Behaviour {
  /** What `GET /` answers. */
  answer?: string;
  /** What it prints before it listens. */
  prints?: { stream: "stdout" | "stderr"; base64: string }[];
  /** Default: it listens. `hoards` takes memory without end instead; a number is the code with which it ends instead. */
  start?: "listens" | "never listens" | "hoards" | number;
  /** Default: it ends. `slowly` prints `ending` at once and `ended` a moment later, then ends. */
  atTerm?: "ends" | "slowly" | "ignores it";
}

/** What a program needs from where it runs. */
export interface Machine {
  env: Readonly<Record<string, string | undefined>>;
  readFile(path: string): Buffer;
  /** Whether a file lies on a file system in memory. */
  isInMemory(path: string): boolean;
  print(stream: "stdout" | "stderr", bytes: Buffer): void;
  exit(code: number): void;
  /** Replaces what SIGTERM does. */
  onTerm(handler: () => void): void;
}

/** Something that answers. */
export interface Server {
  request(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const SLOW_MS = 100;

/** Begins the program. Gives what is to listen; undefined when nothing is. */
export function begin(behaviour: Behaviour, machine: Machine): Server | undefined {
  const { answer = "ok", prints = [], start = "listens", atTerm = "ends" } = behaviour;
  const say = (text: string) => machine.print("stdout", Buffer.from(`${text}\n`));
  if (atTerm === "ignores it") machine.onTerm(() => say("SIGTERM is ignored"));
  if (atTerm === "slowly") {
    machine.onTerm(() => {
      say("ending");
      setTimeout(() => {
        say("ended");
        machine.exit(0);
      }, SLOW_MS);
    });
  }
  for (const { stream, base64 } of prints) machine.print(stream, Buffer.from(base64, "base64"));
  if (typeof start === "number") machine.exit(start);
  if (start === "hoards") hoard();
  return start === "listens" ? serverOf(answer, machine) : undefined;
}

/** Takes 16 MiB after 16 MiB, in turns with all else, so that who watches it gets a look. */
function hoard(kept: Buffer[] = []): void {
  kept.push(Buffer.alloc(16 * 1024 ** 2, kept.length + 1));
  setImmediate(hoard, kept);
}

function serverOf(answer: string, machine: Machine): Server {
  const life = randomUUID();
  const sockets = new WebSocketServer({ noServer: true });
  return {
    request: async (req, res) => {
      const { pathname, searchParams } = new URL(req.url ?? "/", "http://localhost");
      if (pathname === "/echo") res.flushHeaders();
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of req) chunks.push(chunk);
      } catch {
        return; // its client has gone
      }
      const body = Buffer.concat(chunks);
      if (pathname === "/") res.end(answer);
      else if (pathname === "/echo") res.end(`${answer}: ${body}`);
      else if (pathname === "/life") res.end(life);
      else if (pathname === "/env") res.end(JSON.stringify(machine.env));
      else if (pathname === "/file") {
        res.end(machine.readFile(machine.env[searchParams.get("env") ?? ""] ?? "").toString("base64"));
      } else if (pathname === "/in-memory") {
        res.end(String(machine.isInMemory(machine.env[searchParams.get("env") ?? ""] ?? "")));
      } else if (pathname === "/print") {
        machine.print(searchParams.get("stream") === "stderr" ? "stderr" : "stdout", body);
        res.end("printed");
      } else if (pathname === "/hoard") hoard();
      else if (pathname === "/exit") machine.exit(Number(searchParams.get("code")));
      else res.writeHead(404).end();
    },
    upgrade: (req, socket, head) => {
      sockets.handleUpgrade(req, socket, head, (client) => {
        client.on("message", (data) => client.send(`${answer}: ${data}`));
      });
    },
  };
}
