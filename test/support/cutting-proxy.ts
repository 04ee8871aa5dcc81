import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that breaks each connection after a number of bytes from the server: 0, 1, 2 … bytes, then it lets all pass. */
export interface CuttingProxy {
  port: number;
  /** Connections that were cut. */
  cuts: number;
  close(): void;
}

/** Puts the proxy before `port`; `offsets` are the bytes after which the connections are cut, one after another. */
export async function cuttingProxy(port: number, offsets: number[]): Promise<CuttingProxy> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const limit = offsets.shift();
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("close", () => open.delete(socket)).on("error", () => undefined);
    }
    client.pipe(upstream);
    let passed = 0;
    upstream.on("data", (chunk) => {
      if (limit === undefined || passed + chunk.length < limit) {
        passed += chunk.length;
        client.write(chunk);
        return;
      }
      proxy.cuts++;
      client.write(chunk.subarray(0, limit - passed), () => client.resetAndDestroy());
      upstream.destroy();
    });
    upstream.on("end", () => client.end());
    client.on("close", () => upstream.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: CuttingProxy = {
    port: (server.address() as AddressInfo).port,
    cuts: 0,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
  return proxy;
}
