import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that breaks each connection after a number of bytes from one side: 0, 1, 2 … bytes, then it lets all pass. */
export interface CuttingProxy {
  port: number;
  /** Connections that were cut. */
  cuts: number;
  /** After how many bytes each of them was cut. */
  cutAfter: number[];
  close(): void;
}

/**
 * Puts the proxy before `port`; `offsets` are the bytes after which the connections are cut, one after another. `side` is whose
 * bytes are counted.
 */
export async function cuttingProxy(
  port: number,
  offsets: number[],
  side: "server" | "client" = "server",
): Promise<CuttingProxy> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const limit = offsets.shift();
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("close", () => open.delete(socket)).on("error", () => undefined);
    }
    const [from, to] = side === "server" ? [upstream, client] : [client, upstream];
    to.pipe(from);
    let passed = 0;
    from.on("data", (chunk) => {
      if (limit === undefined || passed + chunk.length < limit) {
        passed += chunk.length;
        to.write(chunk);
        return;
      }
      from.removeAllListeners("data");
      proxy.cuts++;
      proxy.cutAfter.push(limit);
      to.write(chunk.subarray(0, limit - passed), () => to.resetAndDestroy());
      from.destroy();
    });
    from.on("end", () => to.end());
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: CuttingProxy = {
    port: (server.address() as AddressInfo).port,
    cuts: 0,
    cutAfter: [],
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
  return proxy;
}
