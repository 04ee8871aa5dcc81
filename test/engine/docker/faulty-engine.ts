/**
 * A container engine that answers as Docker does, save where a test says otherwise: for faults that no real engine has on
 * demand. Its containers run nothing; they print and end when the test says so.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import { temporaryDirectory } from "../helpers.ts";

/** What a test makes of a call: true when it has answered itself. */
export type Fault = (call: string, res: ServerResponse) => boolean;

/** The engine. */
export interface FaultyEngine {
  socketPath: string;
  /** Calls so far, such as `POST /containers/create`. */
  calls: string[];
  networks: Set<string>;
  /** Ids of containers. */
  containers: Set<string>;
  /** Connections that read a container's output, in the order in which they came. */
  attached: Duplex[];
  /** Who asks for output gets no answer. */
  silentAttach: boolean;
  /** Ends the containers that run. */
  end(): void;
}

/** Answers with an error as Docker writes it. */
export function refuse(res: ServerResponse, status: number, message: string): true {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ message }));
  return true;
}

/** A piece of output as an engine sends it. */
export function stdout(text: string): Buffer {
  const bytes = Buffer.from(text);
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

/** Lets a server listen until the test's end; gives the path of its socket. */
export async function listenAsEngine(server: Server): Promise<string> {
  const socketPath = join(temporaryDirectory(), "engine.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return socketPath;
}

/** A client of it, which the test's end closes. The server has to answer what it asks first, `/version`. */
export async function clientOf(server: Server): Promise<EngineApi> {
  const api = await EngineApi.connect(await listenAsEngine(server));
  onTestFinished(() => api.close());
  return api;
}

/** Starts one that the test's end closes. */
export async function startFaultyEngine(fault: Fault = () => false): Promise<FaultyEngine> {
  const calls: string[] = [];
  const networks = new Set<string>();
  const containers = new Set<string>();
  const attached: Duplex[] = [];
  const waiting = new Set<ServerResponse>();
  const networkOf = new Map<string, string>();
  let running = true;
  const answer = (res: ServerResponse, status: number, body?: unknown) =>
    res.writeHead(status, { "content-type": "application/json" }).end(body === undefined ? "" : JSON.stringify(body));

  async function respond(req: IncomingMessage, res: ServerResponse): Promise<unknown> {
    const path = (req.url ?? "").split("?")[0]?.replace(/^\/v[\d.]+/, "") ?? "";
    const call = `${req.method} ${path}`;
    calls.push(call);
    let text = "";
    for await (const chunk of req.setEncoding("utf8")) text += chunk;
    if (fault(call, res)) return;
    const body = text.startsWith("{") ? JSON.parse(text) : {};
    const [, kind, name = ""] = path.split("/");
    if (path === "/version") return answer(res, 200, { ApiVersion: "1.41", Os: "linux", Arch: "amd64" });
    if (path === "/info") return answer(res, 200, { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true });
    if (path === "/networks") {
      const own = [...networks].map((Name) => ({ Name, Driver: "bridge" }));
      return answer(res, 200, req.url?.includes("filters") ? own : [{ Name: "bridge", Driver: "bridge" }, ...own]);
    }
    if (path === "/networks/create") {
      networks.add(body.Name);
      return answer(res, 201, {});
    }
    if (kind === "networks") {
      if (!networks.has(name)) return refuse(res, 404, `network ${name} not found`);
      if (req.method === "DELETE") networks.delete(name);
      return answer(res, 200, { Name: name });
    }
    if (path === "/images/json") return answer(res, 200, []);
    if (kind === "images") return answer(res, 200, { RootFS: { Layers: ["a"] } });
    if (path === "/containers/json")
      return answer(
        res,
        200,
        [...containers].map((Id) => ({ Id, State: "running" })),
      );
    if (path === "/containers/create") {
      const Id = `container-${calls.length}`;
      containers.add(Id);
      networkOf.set(Id, body.HostConfig.NetworkMode);
      return answer(res, 201, { Id });
    }
    if (!containers.has(name)) return refuse(res, 404, `No such container: ${name}`);
    if (path.endsWith("/attach")) {
      if (engine.silentAttach) return;
      // The connection is taken over, as engines do: its end is that of the answer.
      req.socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n");
      return attached.push(req.socket.on("error", () => {}));
    }
    if (req.method === "DELETE") {
      containers.delete(name);
      return answer(res, 204);
    }
    if (path.endsWith("/start")) {
      const network = networkOf.get(name) ?? "";
      return networks.has(network) ? answer(res, 204) : refuse(res, 404, `network ${network} not found`);
    }
    if (path.endsWith("/wait") && running) return waiting.add(res);
    if (path.endsWith("/wait")) return answer(res, 200, { StatusCode: 0 });
    const State = { Running: running, Pid: 0, ExitCode: 0, OOMKilled: false };
    return answer(res, 200, { State, NetworkSettings: { Ports: {} } });
  }

  const server = createServer((req, res) => void respond(req, res));
  const socketPath = await listenAsEngine(server);
  onTestFinished(() => {
    for (const socket of attached) socket.destroy();
  });
  const engine: FaultyEngine = {
    socketPath,
    calls,
    networks,
    containers,
    attached,
    silentAttach: false,
    end() {
      running = false;
      for (const res of waiting) answer(res, 200, { StatusCode: 0 });
      waiting.clear();
      for (const socket of attached) socket.end();
    },
  };
  return engine;
}
