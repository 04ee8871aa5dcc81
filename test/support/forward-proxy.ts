import { once } from "node:events";
import { createServer, request as send } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A request as the proxy saw it. */
export interface ProxiedRequest {
  /** `CONNECT` for a tunnel. */
  method: string;
  /** Host and port that it was to reach: `registry.test:443`. */
  target: string;
  /** Its `Proxy-Authorization`. */
  authorization: string | undefined;
}

/** An HTTP proxy (RFC 9110 7.3.2 and 9.3.6) that knows a few hosts, which no name service does. */
export interface ForwardProxy {
  port: number;
  seen: ProxiedRequest[];
  /** Status that it answers to the next so many requests, instead of passing them on. */
  refuse: { status: number; times: number };
  close(): Promise<void>;
}

/** Starts one; `hosts` has the port of 127.0.0.1 for `<host>:<port>`, `user` is `NAME:PASSWORD` when it wants to know. */
export async function forwardProxy(
  hosts: Record<string, number>,
  options: { user?: string } = {},
): Promise<ForwardProxy> {
  const open = new Set<Socket>();
  const wanted = options.user && `Basic ${Buffer.from(options.user).toString("base64")}`;
  /** The status of its own refusal, else undefined. */
  const refusal = (entry: ProxiedRequest): number | undefined => {
    proxy.seen.push(entry);
    if (proxy.refuse.times > 0) {
      proxy.refuse.times--;
      return proxy.refuse.status;
    }
    if (wanted && entry.authorization !== wanted) return 407;
    return hosts[entry.target] === undefined ? 502 : undefined;
  };
  const server = createServer((request, response) => {
    const { method = "", headers } = request;
    const url = new URL(request.url ?? "", "http://not-absolute.invalid");
    const { "proxy-authorization": authorization, "proxy-connection": _, ...passed } = headers;
    const target = `${url.hostname}:${url.port || 80}`;
    const status = refusal({ method, target, authorization });
    if (status !== undefined) {
      request.resume();
      return void response.writeHead(status, { "proxy-authenticate": "Basic realm=test" }).end();
    }
    const path = url.pathname + url.search;
    const upstream = send({ host: "127.0.0.1", port: hosts[target], method, path, headers: passed }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    upstream.on("error", () => response.destroy());
    request.pipe(upstream);
  });
  server.on("connect", (request, client: Socket, head: Buffer) => {
    const target = request.url ?? "";
    const status = refusal({ method: "CONNECT", target, authorization: request.headers["proxy-authorization"] });
    client.on("error", () => undefined);
    if (status !== undefined) return void client.end(`HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic\r\n\r\n`);
    const upstream = connect(hosts[target] as number, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: ForwardProxy = {
    port: (server.address() as AddressInfo).port,
    seen: [],
    refuse: { status: 0, times: 0 },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
  return proxy;
}
