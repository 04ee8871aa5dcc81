import { describe, expect, it } from "vitest";
import { HOST, implementations, parts, signal, withBench } from "./harness.ts";

const ours = implementations.slice(0, 1);
const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n\r\n${body}`;

describe.each(implementations)("framing through %s", (_name, make) => {
  it.each([
    ["both framings", post("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"), 400],
    ["two lengths", post("Content-Length: 4\r\nContent-Length: 5", "abcde"), 400],
    ["the same length twice", post("Content-Length: 4\r\nContent-Length: 4", "abcd"), 400],
    ["a list of lengths", post("Content-Length: 4, 4", "abcd"), 400],
    ["a signed length", post("Content-Length: +4", "abcd"), 400],
    ["a disguised coding", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), 501],
    ["a space before the colon", post("Transfer-Encoding : chunked", "0\r\n\r\n"), 400],
    ["chunked that is not last", post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), 400],
    ["chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400],
    ["a coding that nobody undoes", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), 501],
    ["a folded field", post("X-A: b\r\n Transfer-Encoding: chunked", "0\r\n\r\n"), 400],
    ["a bare LF", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: b\nX-C: d\r\n\r\n`, 400],
    ["a control character", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: b\x01\r\n\r\n`, 400],
    ["two hosts", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: other.example\r\n\r\n`, 400],
    ["a coding in HTTP/1.0", `POST / HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ])("refuses a request with %s, and the replica never sees it", (_what, bytes, status) =>
    withBench(make, async (bench) => {
      let seen = 0;
      await bench.httpReplica((_req, res) => {
        seen++;
        res.end();
      });
      const text = await bench
        .client()
        .send(bytes)
        .until(/\r\n\r\n/);
      expect(parts(text).status).toBe(status);
      expect(seen).toBe(0);
    }),
  );

  it("breaks off when a chunk size is malformed in the middle of an upload", () =>
    withBench(make, async (bench) => {
      const complete = signal<boolean>();
      await bench.httpReplica((req, res) => {
        req.on("error", () => undefined); // the point of the test: "aborted"
        req.resume();
        res.on("close", () => complete.resolve(req.complete));
      });
      const client = bench.client().send(post("Transfer-Encoding: chunked", "3\r\nabc\r\n"));
      client.send("zz\r\n");
      expect(await client.untilEnd()).toMatch(/^HTTP\/1\.1 400 /);
      expect(await complete.promise).toBe(false);
    }));

  it("writes nothing into a response that has begun when the upload turns out malformed", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        req.on("error", () => undefined); // the point of the test: "aborted"
        req.once("data", () => res.writeHead(200, { "content-length": 1000 }).write("begun"));
      });
      const client = bench.client().send(post("Transfer-Encoding: chunked", "3\r\nabc\r\n"));
      await client.until(/begun/);
      client.send("zz\r\n");
      expect(await client.untilEnd()).toMatch(/begun$/);
    }));

  it("sends no body for HEAD, 204 and 304, and keeps the connection in step", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        if (req.url === "/head") res.writeHead(200, { "content-length": 1234 }).end();
        else if (req.url === "/204") res.writeHead(204).end();
        else if (req.url === "/304") res.writeHead(304, { etag: '"x"' }).end();
        else res.end("last");
      });
      const line = (method: string, path: string) => `${method} ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
      const client = bench.client();
      const heads: ReturnType<typeof parts>[] = [];
      for (const bytes of [line("HEAD", "/head"), line("GET", "/204"), line("GET", "/304"), line("GET", "/end")]) {
        const before = client.received.length;
        client.send(bytes);
        heads.push(parts((await client.until((text) => text.includes("\r\n\r\n", before))).slice(before)));
      }
      expect(heads.map(({ status }) => status)).toEqual([200, 204, 304, 200]);
      expect(heads.slice(0, 3).map(({ body }) => body)).toEqual(["", "", ""]);
      expect(heads[0]?.fields["content-length"]).toBe("1234");
      expect(heads[1]?.fields).not.toHaveProperty("content-length");
      expect(heads[2]?.fields["etag"]).toBe('"x"');
      await client.until(/last/);
    }));

  it("gives an HTTP/1.0 client a body that ends with the connection", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((_req, res) => {
        res.write("one");
        res.end("two");
      });
      const text = await bench.client().send(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`).untilEnd();
      expect(parts(text).fields).not.toHaveProperty("transfer-encoding");
      expect(parts(text).body).toBe("onetwo");
    }));

  it("takes a replica's body that ends with its connection", () =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nuntil close")));
      expect(
        await bench
          .client()
          .send(get)
          .until(/0\r\n\r\n$/),
      ).toContain("until close");
    }));

  it("passes the trailers of a response", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((_req, res) => {
        res.writeHead(200, { trailer: "x-sum" });
        res.write("body");
        res.addTrailers({ "x-sum": "42" });
        res.end();
      });
      expect(
        await bench
          .client()
          .send(get)
          .until(/0\r\n[\s\S]*\r\n\r\n$/),
      ).toMatch(/0\r\nx-sum: 42\r\n\r\n$/i);
    }));

  it("waits past interim responses for the final one", () =>
    withBench(make, async (bench) => {
      const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
      await bench.rawReplica((socket) =>
        socket.once("data", () => socket.write(`${early}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal`)),
      );
      expect(await bench.client().send(get).until(/final/)).toMatch(/HTTP\/1\.1 200 OK\r\n/);
    }));

  it.each([
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc"],
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["a space in a field name", "HTTP/1.1 200 OK\r\nX A: b\r\n\r\n"],
    ["a control character", "HTTP/1.1 200 OK\r\nX-A: b\x00\r\n\r\n"],
    ["protocols that nobody asked to change", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
  ])("answers 502 when the replica's response has %s", (_what, bytes) =>
    withBench(make, async (bench) => {
      await bench.rawReplica((socket) => socket.once("data", () => socket.write(bytes, "latin1")));
      expect(
        parts(
          await bench
            .client()
            .send(get)
            .until(/\r\n\r\n/),
        ).status,
      ).toBe(502);
    }),
  );
});

describe.each(ours)("framing through %s alone (undici cannot)", (_name, make) => {
  it("passes the trailers of a request", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => {
        req.resume();
        req.on("end", () => res.end(JSON.stringify(req.trailers)));
      });
      const trailers = "x-sum: 42\r\nhost: evil\r\nappctl-probe: x\r\nx-forwarded-for: 1.2.3.4\r\n";
      const bytes = post("Transfer-Encoding: chunked\r\nTrailer: x-sum", `3\r\nabc\r\n0\r\n${trailers}\r\n`);
      expect(parts(await bench.client().send(bytes).until(/\}/)).body).toContain('{"x-sum":"42"}');
    }));

  it("lets the replica say 100 to a client that waits for it", () =>
    withBench(make, async (bench) => {
      const asked = signal<() => void>();
      await bench.httpReplica((req, res) => {
        asked.resolve(() => res.writeContinue());
        req.on("data", (bytes) => res.end(`got ${bytes}`));
      });
      const client = bench.client().send(post("Content-Length: 4\r\nExpect: 100-continue"));
      const go = await asked.promise;
      expect(client.received).toBe("");
      go();
      expect(await client.until(/\r\n\r\n/)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
      client.send("body");
      await client.until(/got body/);
    }));

  it("delivers the refusal to a client that waits for 100, and closes", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((_req, res) => void res.writeHead(403).end("never"));
      const client = bench.client().send(post("Content-Length: 4\r\nExpect: 100-continue"));
      const text = await client.untilEnd();
      expect(text).toMatch(/^HTTP\/1\.1 403 /);
      expect(text).toMatch(/connection: close/i);
    }));

  it("resets an HTTP/1.0 client whose body was cut, since an orderly end would look whole", () =>
    withBench(make, async (bench) => {
      const begun = signal<() => void>();
      await bench.rawReplica((socket) =>
        socket.once("data", () => {
          socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
          begun.resolve(() => socket.end());
        }),
      );
      const client = bench.client().send(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
      await client.until(/half/);
      (await begun.promise)();
      await client.untilEnd();
      expect(client.ended).toBe("reset");
    }));

  it("never gives one request's surplus bytes to the next", () =>
    withBench(make, async (bench) => {
      let connections = 0;
      await bench.rawReplica((socket, index) => {
        connections++;
        socket.on("data", () =>
          socket.write(
            `HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nconn ${index}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
          ),
        );
      });
      const client = bench.client().send(get);
      await client.until(/conn 0/);
      client.send(get);
      expect(await client.until(/conn 1/)).not.toContain("poison");
      expect(connections).toBe(2);
    }));
});
