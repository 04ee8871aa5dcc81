import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { Gateway, type GatewayOptions } from "../../src/gateway/gateway.ts";
import type { UpstreamConnection } from "../../src/gateway/upstream/connection.ts";
import { UpstreamPool } from "../../src/gateway/upstream/pool.ts";
import { Bench, HOST, parts, signal, withBench } from "./harness.ts";

const make = (options: GatewayOptions) => new Gateway(options);
const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
const post = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\n\r\nhi`;

describe("connections to replicas", () => {
  it("sends a request again when the kept connection turns out to be closed", () =>
    withBench(make, async (bench) => {
      const sockets: Socket[] = [];
      await bench.rawReplica((socket, index) => {
        sockets.push(socket);
        let requests = 0;
        socket.on("data", () => {
          // The first connection answers once, and closes when the next request comes, as a server does whose idle time
          // ends at that moment.
          if (index === 0 && ++requests === 2) socket.end();
          else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nconn ${index}`);
        });
      });
      const client = bench.client().send(get);
      await client.until(/conn 0/);
      client.send(get);
      await client.until(/conn 1/);
      expect(sockets).toHaveLength(2);
    }));

  it("tries again once only: a new connection that breaks is a broken replica", () =>
    withBench(make, async (bench) => {
      let connections = 0;
      await bench.rawReplica((socket, index) => {
        connections++;
        let requests = 0;
        socket.on("data", () => {
          if (index === 0 && ++requests === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          else socket.end();
        });
      });
      const client = bench.client().send(get);
      await client.until(/ok$/);
      client.send(get);
      await client.until(/502 Bad Gateway/);
      expect(connections).toBe(2);
    }));

  it.each([
    ["has a body", post],
    ["has a body, idempotent or not", post.replace("POST", "PUT")],
    ["is not idempotent", `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0\r\n\r\n`],
  ])("never sends a request twice that %s", (_what, bytes) =>
    withBench(make, async (bench) => {
      const seen: string[] = [];
      await bench.rawReplica((socket) => {
        socket.on("data", (data) => {
          seen.push(String(data).slice(0, 4));
          if (seen.length === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          else socket.end();
        });
      });
      const client = bench.client().send(get);
      await client.until(/ok$/);
      client.send(bytes);
      await client.until(/502 Bad Gateway/);
      expect(seen).toEqual(["GET ", bytes.slice(0, 4)]);
    }),
  );

  it("does not try again once a byte of the answer has come", () =>
    withBench(make, async (bench) => {
      let requests = 0;
      await bench.rawReplica((socket) => {
        socket.on("data", () => {
          if (++requests === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          else socket.end("HTTP/1.1 2");
        });
      });
      const client = bench.client().send(get);
      await client.until(/ok$/);
      client.send(get);
      await client.until(/502 Bad Gateway/);
      expect(requests).toBe(2);
    }));

  it.each([
    ["is kept after a whole answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1],
    ["is kept after a chunked answer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1],
    [
      "is not kept after Connection: close",
      "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
      2,
    ],
    ["is not kept after HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2],
    ["is not kept for a second", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok", 2],
    ["is not kept after surplus bytes", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", 2],
  ])("a connection %s", (_what, bytes, expected) =>
    withBench(make, async (bench) => {
      let connections = 0;
      await bench.rawReplica((socket) => {
        connections++;
        socket.on("data", () => socket.write(bytes));
      });
      const client = bench.client();
      for (let n = 1; n <= 2; n++) {
        client.send(get);
        await client.until((text) => (text.match(/ok/g) ?? []).length === n);
        await bench.released();
      }
      expect(connections).toBe(expected);
    }),
  );

  it("reads a connection on that was paused for a slow client, and keeps it", () =>
    withBench(make, async (bench) => {
      let connections = 0;
      const size = 8 * 1024 * 1024;
      const server = await bench.httpReplica((_req, res) => void res.end(Buffer.alloc(size, "x")));
      server.on("connection", () => connections++);
      const client = bench.client();
      for (let n = 1; n <= 2; n++) {
        client.socket.pause();
        client.send(get);
        await new Promise((resolve) => setTimeout(resolve, 100)); // only makes the pause likely; nothing depends on it
        client.socket.resume();
        await client.until((text) => text.length > n * size);
        await bench.released();
      }
      expect(connections).toBe(1);
    }));

  it("closes with everything that is under way", async () => {
    const bench = await new Bench(make).start();
    const asked = signal();
    await bench.httpReplica((_req, _res) => asked.resolve());
    const client = bench.client().send(get);
    await asked.promise;
    bench.forwarder.close();
    expect(parts(await client.until(/\r\n\r\n/)).status).toBe(502);
    await bench.released();
    await bench.close();
    expect(bench.releases).toEqual([1]);
  });
});

/** Sends one GET on `connection` and resolves when its response is over. `onBody` sees each piece of its body. */
function ask(connection: UpstreamConnection, onBody: () => void = () => undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const kind = { toHead: false, toUpgrade: false, hasBody: false };
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n", kind, {
      onInformation: () => undefined,
      onHead: () => undefined,
      onBody,
      onPause: () => undefined,
      onDrain: () => undefined,
      onEnd: () => resolve(),
      onFailure: reject,
    });
  });
}

describe("the pool", () => {
  it("gives up connections that have been idle too long, by an injected clock", async () => {
    const bench = await new Bench(make).start();
    await bench.rawReplica((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
      socket.on("end", () => socket.end());
    });
    const address = bench.address ?? { socketPath: "none" };
    let now = 0;
    const pool = new UpstreamPool({ now: () => now, idleMs: 4000, maxIdle: 2 });
    const askMany = async (count: number) => {
      const taken = Array.from({ length: count }, () => pool.take(address, false));
      await Promise.all(taken.map((connection) => ask(connection)));
      return taken;
    };
    try {
      const [first] = await askMany(1);
      now = 3999;
      const [second] = await askMany(1);
      expect(second).toBe(first);
      now = 3999 + 4000;
      const [third] = await askMany(1);
      expect(third).not.toBe(first);
      expect(first?.gone).toBe(true);
      await askMany(3);
      expect(pool.idle).toBe(2); // no more than maxIdle
      now += 4000;
      pool.sweep();
      expect([pool.idle, pool.size]).toEqual([0, 0]);
    } finally {
      pool.close();
      await bench.close();
    }
  });

  it("reads a kept connection again that was paused when its response ended", async () => {
    const bench = await new Bench(make).start();
    await bench.rawReplica((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    });
    const pool = new UpstreamPool();
    const address = bench.address ?? { socketPath: "none" };
    try {
      const connection = pool.take(address, false);
      await ask(connection, () => connection.pause());
      expect(pool.take(address, false)).toBe(connection);
      await ask(connection);
    } finally {
      pool.close();
      await bench.close();
    }
  });
});
