import { describe, expect, it } from "vitest";
import { Gateway, type GatewayOptions } from "../../src/gateway/gateway.ts";
import { type Bench, HOST, implementations, parts, REVISION, withBench } from "./harness.ts";

const make = (options: GatewayOptions) => new Gateway(options);
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The fields that a replica gets for a request with `fields`. */
async function seenBy(bench: Bench, fields: string, line = "GET /x HTTP/1.1"): Promise<Record<string, string>> {
  await bench.httpReplica((req, res) => {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ ...req.headers, target: req.url, lines: req.rawHeaders.length / 2 }));
  });
  const text = await bench.client().send(`${line}\r\nHost: ${HOST}:7654\r\n${fields}\r\n`).until(/\}/);
  return JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
}

describe.each(implementations)("fields through %s", (_name, implementation) => {
  it("keeps hop-by-hop fields, those that Connection names, and claims about the way from the replica", () =>
    withBench(implementation, async (bench) => {
      bench.token = "replica-token";
      const seen = await seenBy(
        bench,
        "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n" +
          "Proxy-Authorization: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-FORWARDED-Prefix: /a\r\n" +
          "Forwarded: for=6.6.6.6\r\nAppctl-Replica-Token: forged\r\nAppctl-Revision: forged\r\nX-Public: 2\r\nCookie: a=b\r\n",
      );
      const { lines: _lines, ...rest } = seen;
      expect(rest).toEqual({
        host: `${HOST}:7654`,
        "x-public": "2",
        cookie: "a=b",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": `${HOST}:7654`,
        "x-request-id": expect.stringMatching(uuid),
        "appctl-replica-token": "replica-token",
        target: "/x",
        ...(seen["connection"] === undefined ? {} : { connection: "keep-alive" }), // undici says the default
      });
    }));

  it("keeps the replica's hop-by-hop fields and forged names from the client", () =>
    withBench(implementation, async (bench) => {
      await bench.rawReplica((socket) =>
        socket.once("data", () =>
          socket.write(
            "HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: 1\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nTE: x\r\n" +
              "Appctl-Revision: forged\r\nAppctl-Gateway: forged\r\nX-Public: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
            "latin1",
          ),
        ),
      );
      const text = await bench.client().send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`).until(/ok$/);
      const { date: _date, "keep-alive": _keepAlive, ...fields } = parts(text).fields;
      expect(fields).toEqual({
        "x-public": "caf\xe9",
        "content-length": "2",
        "appctl-revision": REVISION,
        connection: "keep-alive", // node:http's own, for this connection
      });
    }));

  it("takes the platform key off a request that it let pass by it", () =>
    withBench(implementation, async (bench) => {
      bench.route.requiresAuth = true;
      let asked: string | undefined;
      bench.verdict = (authorization) => {
        asked = authorization;
        return { ok: true };
      };
      expect(await seenBy(bench, "Authorization: Bearer platform-key\r\n")).not.toHaveProperty("authorization");
      expect(asked).toBe("Bearer platform-key");
    }));

  it("leaves the Authorization of a public app alone", () =>
    withBench(implementation, async (bench) => {
      bench.verdict = () => ({ ok: false, status: 401, code: "X", detail: "must not be asked" });
      expect(await seenBy(bench, "Authorization: Bearer app-key\r\n")).toMatchObject({
        authorization: "Bearer app-key",
      });
    }));
});

describe("fields", () => {
  it("keeps a sane request id of the client's, and makes one otherwise", async () => {
    for (const [sent, expected] of [
      ["abc-123/4:5", "abc-123/4:5"],
      ["a b", expect.stringMatching(uuid)],
      ["a".repeat(129), expect.stringMatching(uuid)],
      ["", expect.stringMatching(uuid)],
    ] as const) {
      await withBench(make, async (bench) => {
        expect((await seenBy(bench, `X-Request-Id: ${sent}\r\n`))["x-request-id"]).toEqual(expected);
      });
    }
  });

  it("lets a probe pass once, for its host only, and shows the app neither token nor key", () =>
    withBench(make, async (bench) => {
      bench.route.requiresAuth = true;
      bench.verdict = () => ({ ok: false, status: 401, code: "NO_KEY", detail: "no key" });
      bench.probes.set("one-use", HOST);
      bench.probes.set("another's", "other.apps.localhost");
      const probe = (token: string) => `appctl-probe: ${token}\r\nAuthorization: Bearer x\r\n`;
      const seen = await seenBy(bench, probe("one-use"));
      expect(seen).not.toHaveProperty("appctl-probe");
      expect(seen).not.toHaveProperty("authorization");
      for (const token of ["one-use", "another's", ""]) {
        const text = await bench
          .client()
          .send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${probe(token)}\r\n`)
          .until(/\}\n$/);
        expect(parts(text).status).toBe(401);
      }
    }));

  it.each([
    [`GET http://${HOST}:7654/a?b HTTP/1.1`, "/a?b"],
    [`GET HTTP://${HOST.toUpperCase()}:7654?b HTTP/1.1`, "/?b"],
    [`GET http://${HOST} HTTP/1.1`, "/"],
    ["OPTIONS * HTTP/1.1", "*"],
    ["GET //double/../x HTTP/1.1", "//double/../x"],
  ])("sends %s to the app as %s", (line, target) =>
    withBench(make, async (bench) => {
      expect((await seenBy(bench, "", line))["target"]).toBe(target);
    }),
  );

  it("changes no byte of a field, with the body and when the head goes ahead of it", async () => {
    for (const rest of ["Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n"]) {
      await withBench(make, async (bench) => {
        await bench.rawReplica((socket) =>
          socket.once("data", () => socket.write(`HTTP/1.1 200 Tr\xe8s\r\nX-A: caf\xe9\r\n${rest}`, "latin1")),
        );
        const client = bench.client().send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 Tr\xe8s\r\nX-A: caf\xe9\r\n/);
        client.destroy();
      });
    }
  });

  it("passes repeated and non-ASCII fields as they came", () =>
    withBench(make, async (bench) => {
      await bench.httpReplica((req, res) => res.end(JSON.stringify(req.rawHeaders)));
      const fields = "X-A: 1\r\nx-a: 2\r\nX-A: caf\xe9\r\n";
      const text = await bench.client().send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n`).until(/\]/);
      const utf8 = Buffer.from("caf\xe9", "utf8").toString("latin1"); // the replica's JSON is UTF-8, the client reads latin1
      expect(text).toContain(`"X-A","1","x-a","2","X-A","${utf8}"`);
    }));
});
