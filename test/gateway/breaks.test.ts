import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { HOST, implementations, parts, settled, signal, withBench } from "./harness.ts";

const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

describe.each(implementations)("what breaks, through %s", (_name, make) => {
  it("tells the replica when the client leaves before the answer", () =>
    withBench(make, async (bench) => {
      const seen = signal();
      const left = signal();
      await bench.httpReplica((_req, res) => {
        res.on("close", () => left.resolve());
        seen.resolve();
      });
      const client = bench.client().send(get);
      await seen.promise;
      client.destroy();
      await left.promise;
    }));

  it("tells the replica when the client leaves in the middle of the answer", () =>
    withBench(make, async (bench) => {
      const left = signal();
      await bench.httpReplica((_req, res) => {
        res.on("close", () => left.resolve());
        res.write("begun");
      });
      const client = bench.client().send(get);
      await client.until(/begun/);
      client.destroy();
      await left.promise;
    }));

  it("tells the replica when the client leaves in the middle of an upload", () =>
    withBench(make, async (bench) => {
      const begun = signal();
      const left = signal<boolean>();
      await bench.httpReplica((req, res) => {
        req.once("data", () => begun.resolve());
        req.on("error", () => undefined); // the point of the test: "aborted"
        res.on("close", () => left.resolve(req.complete));
      });
      const client = bench.client().send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100\r\n\r\nhalf`);
      await begun.promise;
      client.destroy();
      expect(await left.promise).toBe(false);
    }));

  it("answers 502 when the replica closes before it answers", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end()));
      const { status, fields } = parts(
        await bench
          .client()
          .send(get)
          .until(/\r\n\r\n/),
      );
      expect([status, fields["appctl-gateway"], fields["appctl-revision"]]).toEqual([502, "BAD_GATEWAY", undefined]);
    }));

  it("answers 502 when nothing listens where the replica was", () =>
    withBench(make, async (bench) => {
      const server = await bench.rawReplica(() => undefined);
      server.close();
      await once(server, "close");
      expect(
        parts(
          await bench
            .client()
            .send(get)
            .until(/\r\n\r\n/),
        ).status,
      ).toBe(502);
    }));

  it("answers 502 when the replica closes in the middle of its head", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Le")));
      expect(
        parts(
          await bench
            .client()
            .send(get)
            .until(/\r\n\r\n/),
        ).status,
      ).toBe(502);
    }));

  it.each([
    ["a body with a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
    ["a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ["a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf"],
  ])("breaks the client's connection when the replica breaks in %s", (_what, text) =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end(text)));
      const client = bench.client().send(get);
      const received = await client.untilEnd();
      expect(received).toContain("200 OK");
      expect(received).toContain("half");
      expect(received).not.toMatch(/0\r\n\r\n$/);
    }),
  );

  it("answers 504 when no head comes in time, and leaves the replica", () =>
    withBench(make, async (bench) => {
      bench.route.requestTimeoutMs = 80;
      const left = signal();
      await bench.httpReplica((_req, res) => void res.on("close", () => left.resolve()));
      const { status, fields } = parts(
        await bench
          .client()
          .send(get)
          .until(/\r\n\r\n/),
      );
      expect([status, fields["appctl-gateway"]]).toEqual([504, "GATEWAY_TIMEOUT"]);
      await left.promise;
    }));

  it("lets a response take longer than the time-out once its head has come", () =>
    withBench(make, async (bench) => {
      bench.route.requestTimeoutMs = 50;
      const started = signal<() => void>();
      await bench.httpReplica((_req, res) => {
        res.write("begun");
        started.resolve(() => void res.end("ended"));
      });
      const client = bench.client().send(get);
      await client.until(/begun/);
      await new Promise((resolve) => setTimeout(resolve, 150));
      (await started.promise)();
      await client.until(/ended\r\n0\r\n\r\n$/);
    }));

  it("delivers an answer that comes before the upload is over", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((_req, res) => void res.writeHead(413, { "content-length": 3 }).end("no!"));
      const client = bench.client();
      client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\nhalf`);
      expect(parts(await client.until(/no!/)).status).toBe(413);
      // The rest of the body still belongs to that request; what follows it is the next.
      client.send(`later!${get}`);
      await client.until((text) => text.split("HTTP/1.1 413 ").length === 3);
    }));
});

describe.each(implementations.slice(0, 1))("what breaks, through %s alone", (_name, make) => {
  it("reads the rest of an upload that had stood still when the answer came", () =>
    withBench(make, async (bench) => {
      const size = 64 * 1024 * 1024;
      const refuse = signal<() => void>();
      await bench.httpReplica((req, res) => {
        if (req.method === "GET") res.end("next");
        else refuse.resolve(() => void res.writeHead(413, { "content-length": 0 }).end());
      });
      const client = bench.client();
      client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n\r\n`);
      client.send(Buffer.alloc(size)).send(get);
      const go = await refuse.promise;
      await settled(() => client.socket.bytesWritten - client.socket.writableLength);
      expect(client.socket.writableLength).toBeGreaterThan(0);
      go();
      await client.until(/413 [\s\S]*next/);
    }));
});
