import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type Bench, HOST, implementations, parts, REVISION, settled, signal, withBench } from "./harness.ts";

const upgrade = (protocol = "echo", fields = "") =>
  `GET /t HTTP/1.1\r\nHost: ${HOST}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ${protocol}\r\n${fields}\r\n`;
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

async function webSocketReplica(bench: Bench): Promise<WebSocketServer> {
  const server = await bench.httpReplica((_req, res) => void res.writeHead(426).end("only sockets"));
  return new WebSocketServer({ server, path: "/ws" });
}

const dial = (bench: Bench, path = "/ws", protocols: string[] = []) =>
  new WebSocket(`ws://127.0.0.1:${bench.port}${path}`, protocols, { headers: { host: HOST } });

describe.each(implementations)("tunnels through %s", (_name, make) => {
  it("carries a WebSocket: text, large binary, ping, close code, subprotocol, forwarded fields", () =>
    withBench(make, async (bench) => {
      bench.token = "replica-token";
      const replica = await webSocketReplica(bench);
      const head = signal<IncomingMessage>();
      const closed = signal<number>();
      replica.on("connection", (socket, req) => {
        head.resolve(req);
        socket.on("message", (data, binary) => socket.send(data, { binary }));
        socket.on("close", (code) => closed.resolve(code));
      });
      const socket = dial(bench, "/ws", ["chat"]);
      const answered = once(socket, "upgrade") as Promise<[IncomingMessage]>;
      await once(socket, "open");
      expect((await answered)[0].headers["appctl-revision"]).toBe(REVISION);
      expect(socket.protocol).toBe("chat");
      expect((await head.promise).headers).toMatchObject({
        host: HOST,
        "x-forwarded-for": "127.0.0.1",
        "appctl-replica-token": "replica-token",
      });
      socket.send("hello");
      expect(String((await once(socket, "message"))[0])).toBe("hello");
      const large = randomBytes(3 * 1024 * 1024);
      socket.send(large);
      expect(large.equals((await once(socket, "message"))[0] as Buffer)).toBe(true);
      socket.ping();
      await once(socket, "pong");
      const gone = once(socket, "close");
      socket.close(4001, "enough");
      expect(await closed.promise).toBe(4001);
      await gone;
    }));

  it("tells the client when the replica drops a WebSocket, and the replica when the client does", () =>
    withBench(make, async (bench) => {
      const replica = await webSocketReplica(bench);
      for (const who of ["replica", "client"] as const) {
        const connected = once(replica, "connection") as Promise<[WebSocket]>;
        const socket = dial(bench);
        socket.on("error", () => undefined); // a cut connection may show as one
        await once(socket, "open");
        const [other] = await connected;
        const [dropped, left] = who === "replica" ? [other, socket] : [socket, other];
        const closed = once(left, "close");
        dropped.terminate();
        await closed;
      }
    }));

  it("forwards bytes that come along with the heads, both ways", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => {
        let seen = "";
        socket.on("end", () => socket.end());
        socket.on("data", (bytes) => {
          const first = seen === "";
          seen += String(bytes);
          if (first) socket.write(`${switching}early from replica`);
          if (seen.includes("early from client")) socket.write(" and got it");
        });
      });
      const client = bench.client().send(`${upgrade()}early from client`);
      const text = await client.until(/got it/);
      client.destroy();
      expect(text).toMatch(/^HTTP\/1\.1 101 /);
      expect(parts(text).fields).toMatchObject({ upgrade: "echo", connection: "upgrade", "appctl-revision": REVISION });
      expect(parts(text).body).toBe("early from replica and got it");
    }));

  it("passes half-closes: what comes after the client's end still arrives", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => {
        socket.once("data", () => socket.write(switching));
        socket.on("end", () => socket.end("after your end"));
      });
      const client = bench.client().send(upgrade());
      await client.until(/\r\n\r\n/);
      client.socket.end();
      expect(await client.untilEnd()).toMatch(/after your end$/);
    }));

  it("stops reading the side whose peer does not read", () =>
    withBench(make, async (bench) => {
      let replicaBytes = 0;
      await bench.rawReplica((socket) => {
        socket.once("data", () => {
          socket.pause(); // it never reads again
          socket.write(switching);
          const block = Buffer.alloc(1024 * 1024);
          const more = () => {
            for (;;) {
              replicaBytes += block.length;
              if (!socket.write(block)) return void socket.once("drain", more);
            }
          };
          more();
        });
      });
      const client = bench.client().send(upgrade());
      await client.until(/\r\n\r\n/);
      client.socket.pause();
      let clientBytes = 0;
      const block = Buffer.alloc(1024 * 1024);
      const more = () => {
        for (;;) {
          clientBytes += block.length;
          if (!client.socket.write(block)) return void client.socket.once("drain", more);
        }
      };
      more();
      expect(await settled(() => replicaBytes + clientBytes)).toBeLessThan(96 * 1024 * 1024);
      client.destroy();
    }));

  it("answers 502 when the replica closes instead of agreeing", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end()));
      expect(parts(await bench.client().send(upgrade()).untilEnd()).status).toBe(502);
    }));
});

describe.each(implementations.slice(0, 1))("tunnels through %s alone", (_name, make) => {
  it("delivers an answer other than 101 as it is", () =>
    withBench(make, async (bench) => {
      const replica = await webSocketReplica(bench);
      replica.options.verifyClient = (_info, done) => done(false, 403, "not you", { "x-why": "because" });
      const socket = dial(bench);
      const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
      expect(response.statusCode).toBe(403);
      expect(response.headers).toMatchObject({ "x-why": "because", "appctl-revision": REVISION });
      let body = "";
      for await (const chunk of response) body += String(chunk);
      expect(body).toBe("not you");
    }));

  it.each([
    [
      "chunked",
      "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nx-t: 1\r\n\r\n",
      /\r\n\r\n2\r\nno\r\n0\r\nx-t: 1\r\n\r\n$/,
    ],
    ["ended by the connection", "\r\nno", /\r\n\r\n2\r\nno\r\n0\r\n\r\n$/],
    ["without a body", "Content-Length: 0\r\n\r\n", /\r\n\r\n$/],
  ])("delivers an answer that is %s", (_what, rest, expected) =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end(`HTTP/1.1 404 No\r\n${rest}`)));
      const text = await bench.client().send(upgrade()).untilEnd();
      expect(text).toMatch(expected);
      expect(parts(text).fields).toMatchObject({ connection: "close", "appctl-revision": REVISION });
    }),
  );

  it("does not let a cut answer look whole", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf")),
      );
      expect(await bench.client().send(upgrade()).untilEnd()).toMatch(/half\r\n$/);
    }));

  it("answers a client that offers HTTP/2 in HTTP/1.1, with its body", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        req.on("data", (bytes) => res.end(`${req.headers.upgrade} ${req.headers["http2-settings"]} ${bytes}`));
      });
      const fields =
        "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAM\r\nUpgrade: h2c\r\nContent-Length: 4\r\n";
      const client = bench.client().send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\nbody`);
      await client.until(/undefined undefined body/);
    }));

  it("never opens a tunnel for a request with a body", () =>
    withBench(make, async (bench) => {
      let seen = 0;
      await bench.rawReplica(() => seen++);
      const text = await bench
        .client()
        .send(`${upgrade("echo", "Content-Length: 4\r\n")}body`)
        .untilEnd();
      expect(parts(text)).toMatchObject({ status: 400, fields: { "appctl-gateway": "BAD_REQUEST" } });
      expect(seen).toBe(0);
    }));

  it("gives the replica up when the client leaves before it has agreed", () =>
    withBench(make, async (bench) => {
      const asked = signal();
      const left = signal();
      await bench.rawReplica((socket) => {
        socket.once("data", () => asked.resolve());
        socket.on("close", () => left.resolve());
        socket.on("end", () => socket.end());
      });
      const client = bench.client().send(upgrade());
      await asked.promise;
      client.socket.end();
      await left.promise;
    }));

  it("drops its tunnels when the gateway closes", () =>
    withBench(make, async (bench) => {
      await webSocketReplica(bench);
      const socket = dial(bench);
      socket.on("error", () => undefined); // a cut connection may show as one
      await once(socket, "open");
      const closed = once(socket, "close");
      bench.forwarder.close();
      await closed;
    }));
});
