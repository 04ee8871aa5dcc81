import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the proxy saw it. */
export interface SeenRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingMessage["headers"];
  /** Status that the client got, 0 when the connection was cut. */
  status: number;
}

/** What the proxy can do with a request; one of them at a time. */
interface Faults {
  /** Answers itself. */
  answer: { status: number; headers?: Record<string, string>; body?: string };
  /** Passes so many bytes of the request's body on, then cuts both connections. */
  cutRequest: number;
  /** Passes the whole request on, then cuts the client's connection instead of answering. */
  cutAnswer: true;
  /** Passes so many bytes of the answer's body on, then cuts the client's connection. */
  cutBody: number;
  /** Changes the first byte of the request's body. */
  damageRequest: true;
  /** Changes the first byte of the answer's body. */
  damageBody: true;
  /** Ends the answer's body gracefully after so many bytes. */
  shorten: number;
  /** Waits for it before it passes the answer on. */
  until: Promise<unknown>;
}

/** One of {@link Faults}. */
export type Fault = { [Kind in keyof Faults]: Pick<Faults, Kind> }[keyof Faults];

/** An HTTP proxy before a registry on 127.0.0.1 that keeps a log and makes faults. */
export interface FaultProxy {
  port: number;
  host: string;
  seen: SeenRequest[];
  /** Asked for each request; undefined passes it on as it is. */
  fault: (request: { method: string; path: string }) => Fault | undefined;
  close(): Promise<void>;
}

/** Makes a fault of the first `times` requests that fit. */
export function first(times: number, method: string, path: RegExp, fault: Fault): FaultProxy["fault"] {
  let left = times;
  return (request) => (request.method === method && path.test(request.path) && left-- > 0 ? fault : undefined);
}

/** Starts the proxy before `port`. */
export async function faultProxy(port: number): Promise<FaultProxy> {
  const server = createServer((request, response) => {
    const [method, path] = [request.method ?? "", request.url ?? ""];
    const entry: SeenRequest = { method, path, headers: request.headers, status: 0 };
    proxy.seen.push(entry);
    const fault: Partial<Faults> = proxy.fault({ method, path }) ?? {};
    response.on("finish", () => {
      entry.status = response.statusCode;
    });
    if (fault.answer) {
      request.resume();
      response.writeHead(fault.answer.status, fault.answer.headers).end(fault.answer.body);
      return;
    }
    // The client's own Host: the registry makes addresses of it.
    const upstream = send({ host: "127.0.0.1", port, method, path, headers: request.headers, agent: false });
    upstream.on("error", () => request.socket.destroy());
    request.on("close", () => !request.complete && upstream.destroy());
    passRequest(request, upstream, fault);
    upstream.on("response", (answer) => void passAnswer(answer, request, response, fault));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const own = (server.address() as AddressInfo).port;
  const proxy: FaultProxy = {
    port: own,
    host: `127.0.0.1:${own}`,
    seen: [],
    fault: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

function passRequest(
  request: IncomingMessage,
  upstream: NodeJS.WritableStream & { destroy(): void },
  fault: Partial<Faults>,
) {
  let passed = 0;
  request.on("data", (data: Buffer) => {
    const chunk = fault.damageRequest && passed === 0 ? damaged(data) : data;
    const limit = fault.cutRequest;
    if (limit !== undefined) {
      if (passed + chunk.length >= limit) {
        // Written out first, so that the registry really has that part when the client learns of the break.
        request.removeAllListeners("data").pause();
        upstream.write(chunk.subarray(0, limit - passed), () => {
          upstream.destroy();
          request.socket.destroy();
        });
        return;
      }
    }
    passed += chunk.length;
    upstream.write(chunk);
  });
  request.on("end", () => upstream.end());
}

async function passAnswer(
  answer: IncomingMessage,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Partial<Faults>,
): Promise<void> {
  if (fault.cutAnswer) return void request.socket.destroy();
  await fault.until;
  const headers = { ...answer.headers };
  if (fault.shorten !== undefined) delete headers["content-length"];
  response.writeHead(answer.statusCode ?? 0, headers);
  if (request.method === "HEAD") return void response.end();
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (fault.cutBody !== undefined) {
    response.write(body.subarray(0, fault.cutBody), () => request.socket.destroy());
  } else if (fault.shorten !== undefined) response.end(body.subarray(0, fault.shorten));
  else response.end(fault.damageBody ? damaged(body) : body);
}

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy;
}
