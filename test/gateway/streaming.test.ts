import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { HOST, implementations, parts, REVISION, settled, signal, withBench } from "./harness.ts";

const MIB = 1024 * 1024;
const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

describe.each(implementations)("streaming through %s", (_name, make) => {
  it("answers a plain GET with status, fields and body of the replica, and its revision", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        res.writeHead(201, "Made", { "content-type": "text/x", "x-path": req.url, "set-cookie": ["a=1", "b=2"] });
        res.end("hello");
      });
      const client = bench.client().send(`GET /a%20b?c=d HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      const text = await client.until(/hello|0\r\n\r\n$/);
      expect(text).toMatch(/^HTTP\/1\.1 201 Made\r\n/);
      expect(text).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/);
      expect(parts(text).fields).toMatchObject({
        "content-type": "text/x",
        "x-path": "/a%20b?c=d",
        "appctl-revision": REVISION,
      });
      expect(parts(text).fields).not.toHaveProperty("appctl-gateway");
    }));

  it("works over TCP as over a unix socket", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((_req, res) => void res.end("over tcp"), "tcp");
      expect(
        await bench
          .client()
          .send(get)
          .until(/over tcp/),
      ).toContain("200 OK");
    }));

  it("gives the client each part of a response when the replica sends it", () =>
    withBench(make, async (bench) => {
      const second = signal();
      await bench.httpReplica(async (_req, res) => {
        res.write("first");
        await second.promise;
        res.end("second");
      });
      const client = bench.client().send(get);
      await client.until(/first/);
      second.resolve();
      await client.until(/second\r\n0\r\n\r\n$/);
    }));

  it("gives the replica each part of a request when the client sends it", () =>
    withBench(make, async (bench) => {
      const first = signal<string>();
      await bench.httpReplica(async (req, res) => {
        req.once("data", (bytes) => first.resolve(String(bytes)));
        await once(req, "end");
        res.end("done");
      });
      const client = bench.client();
      client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n`);
      expect(await first.promise).toBe("one");
      client.send("3\r\ntwo\r\n0\r\n\r\n");
      await client.until(/done/);
    }));

  it("passes both directions at the same time", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        res.flushHeaders();
        req.pipe(res);
      });
      const client = bench.client();
      client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n`);
      await client.until(/ping/);
      client.send("4\r\npong\r\n0\r\n\r\n");
      await client.until(/pong\r\n0\r\n\r\n$/);
    }));

  it("sends the head of an event stream before its first event, and each event at once", () =>
    withBench(make, async (bench) => {
      const opened = signal<(event: string) => void>();
      await bench.httpReplica((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.flushHeaders();
        opened.resolve((event) => res.write(`data: ${event}\n\n`));
      });
      const client = bench.client().send(get);
      await client.until(/text\/event-stream\r\n[\s\S]*\r\n\r\n$/);
      const emit = await opened.promise;
      for (const event of ["one", "two", "three"]) {
        emit(event);
        await client.until(new RegExp(`data: ${event}\n\n`));
      }
      client.destroy();
    }));

  it("stops reading the replica while the client does not read", () =>
    withBench(make, async (bench) => {
      const total = 192 * MIB;
      let replica: Socket | undefined;
      await bench.rawReplica((socket) => {
        replica = socket;
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
          const block = Buffer.alloc(MIB, "x");
          let left = total;
          const more = () => {
            while (left > 0) {
              left -= block.length;
              if (!socket.write(block)) return void socket.once("drain", more);
            }
          };
          more();
        });
      });
      const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
        request({ port: bench.port, host: "127.0.0.1", headers: { host: HOST }, agent: false }, resolve)
          .on("error", reject)
          .end();
      });
      const sent = await settled(() => (replica?.bytesWritten ?? 0) - (replica?.writableLength ?? 0));
      expect(sent).toBeLessThan(total / 4); // what the kernel's buffers hold, and one read of ours
      let bytes = 0;
      for await (const chunk of incoming) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(total);
    }));

  it("stops reading the client while the replica does not read, and keeps a large upload whole", () =>
    withBench(make, async (bench) => {
      const total = 96 * MIB;
      const read = signal();
      let received = 0;
      await bench.httpReplica(async (req, res) => {
        await read.promise;
        const hash = createHash("sha256");
        for await (const chunk of req) {
          hash.update(chunk as Buffer);
          received += (chunk as Buffer).length;
        }
        res.end(hash.digest("hex"));
      });
      const block = randomBytes(MIB);
      const hash = createHash("sha256");
      const upload = request({
        port: bench.port,
        host: "127.0.0.1",
        method: "PUT",
        headers: { host: HOST, "content-length": total },
        agent: false,
      });
      const answer = once(upload, "response");
      let written = 0;
      let mostUnderWay = 0;
      const sending = (async () => {
        while (written < total) {
          hash.update(block);
          written += block.length;
          mostUnderWay = Math.max(mostUnderWay, written - received);
          if (!upload.write(block)) await once(upload, "drain");
        }
        upload.end();
      })();
      expect(await settled(() => written)).toBeLessThan(total / 2);
      read.resolve();
      await sending;
      const [incoming] = (await answer) as [IncomingMessage];
      let text = "";
      for await (const chunk of incoming) text += String(chunk);
      expect(text).toBe(hash.digest("hex"));
      expect(mostUnderWay).toBeLessThan(total / 2);
    }));

  it("keeps a chunked upload and a chunked download whole", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => void req.pipe(res));
      const sent = randomBytes(5 * MIB + 17);
      const upload = request({
        port: bench.port,
        host: "127.0.0.1",
        method: "POST",
        headers: { host: HOST },
        agent: false,
      });
      upload.end(sent);
      const [incoming] = (await once(upload, "response")) as [IncomingMessage];
      const received: Buffer[] = [];
      for await (const chunk of incoming) received.push(chunk as Buffer);
      expect(Buffer.concat(received).equals(sent)).toBe(true);
    }));

  it("keeps large downloads apart: of clients that wait, that read at once and that leave", () =>
    withBench(make, async (bench) => {
      const size = 16 * MIB;
      let written = 0;
      await bench.httpReplica((req, res) => {
        // Every body has a byte of its own.
        const block = Buffer.alloc(MIB, Number(req.url?.slice(1)));
        res.writeHead(200, { "content-length": size });
        let left = size;
        const more = () => {
          while (left > 0 && !res.destroyed) {
            left -= block.length;
            written += block.length;
            if (!res.write(block)) return void res.once("drain", more);
          }
          res.end();
        };
        more();
      });
      const open = async (byte: number) => {
        const at = { port: bench.port, host: "127.0.0.1", path: `/${byte}` };
        const outgoing = request({ ...at, headers: { host: HOST }, agent: false }).end();
        const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
        return { byte, incoming };
      };
      const strange = async ({ byte, incoming }: { byte: number; incoming: IncomingMessage }) => {
        const block = Buffer.alloc(MIB, byte);
        let own = 0;
        for await (const chunk of incoming as AsyncIterable<Buffer>) {
          if (block.subarray(0, chunk.length).equals(chunk)) own += chunk.length;
        }
        return size - own;
      };
      const waiting = await Promise.all([1, 2, 3, 4, 5].map(open));
      await settled(() => written);
      const leaving = await Promise.all([11, 12, 13].map(open));
      for (const { incoming } of leaving) incoming.destroy();
      const reading = await Promise.all([21, 22, 23, 24, 25].map(open));
      expect(await Promise.all(reading.map(strange))).toEqual([0, 0, 0, 0, 0]);
      expect(await Promise.all(waiting.map(strange))).toEqual([0, 0, 0, 0, 0]);
    }));

  it("answers pipelined requests in their order", () =>
    withBench(make, async (bench) => {
      const slow = signal();
      await bench.httpReplica(async (req, res) => {
        if (req.url === "/1") await slow.promise;
        res.end(`answer ${req.url}`);
        if (req.url === "/3") slow.resolve();
      });
      const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
      const text = await bench
        .client()
        .send(one("/1") + one("/2") + one("/3"))
        .until(/answer \/3/);
      expect([...text.matchAll(/answer (\S\d)/g)].map((match) => match[1])).toEqual(["/1", "/2", "/3"]);
    }));
});
