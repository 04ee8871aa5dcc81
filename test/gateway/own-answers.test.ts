import { describe, expect, it } from "vitest";
import { Problem } from "../../src/contract/schemas.ts";
import { Gateway, type GatewayOptions } from "../../src/gateway/gateway.ts";
import { type Bench, HOST, parts, withBench } from "./harness.ts";

const make = (options: GatewayOptions) => new Gateway(options);
const request = (fields = "", line = "GET / HTTP/1.1", host = HOST) => `${line}\r\nHost: ${host}\r\n${fields}\r\n`;
const refuse = (status: 401 | 403, code: string) => (bench: Bench) => {
  bench.route.requiresAuth = true;
  bench.verdict = () => ({ ok: false, status, code, detail: "because" });
};

/** Each answer of the gateway's own: how it comes about, and what it is. */
const answers: [
  code: string,
  status: number,
  bytes: string,
  arrange: (bench: Bench) => unknown,
  more?: Record<string, string>,
][] = [
  ["NO_SUCH_APP", 404, request("", undefined, "nobody.apps.localhost"), () => undefined],
  ["APP_STOPPED", 503, request(), (bench) => (bench.route.stopped = true)],
  ["NO_REPLICA", 503, request(), () => undefined, { "retry-after": "1" }],
  ["NO_KEY", 401, request(), refuse(401, "NO_KEY"), { "www-authenticate": 'Bearer realm="appctl"' }],
  [
    "BAD_KEY",
    401,
    request("Authorization: Bearer x\r\n"),
    refuse(401, "BAD_KEY"),
    { "www-authenticate": 'Bearer realm="appctl", error="invalid_token"' },
  ],
  [
    "WEAK_KEY",
    403,
    request("Authorization: Bearer x\r\n"),
    refuse(403, "WEAK_KEY"),
    { "www-authenticate": 'Bearer realm="appctl", error="insufficient_scope"' },
  ],
  ["BAD_GATEWAY", 502, request(), (bench) => bench.rawReplica((socket) => socket.once("data", () => socket.end()))],
  [
    "GATEWAY_TIMEOUT",
    504,
    request(),
    async (bench) => {
      bench.route.requestTimeoutMs = 30;
      await bench.httpReplica(() => undefined);
    },
  ],
  ["BAD_REQUEST", 400, request(`Host: ${HOST}\r\n`), () => undefined],
  ["BAD_REQUEST", 400, request("", "GET http://other.example/ HTTP/1.1"), () => undefined],
  ["BAD_REQUEST", 400, request("Authorization: a\r\nAuthorization: b\r\n"), () => undefined],
  ["BAD_REQUEST", 400, request("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), () => undefined],
  [
    "TRANSFER_CODING_UNSUPPORTED",
    501,
    request("Transfer-Encoding: gzip, chunked\r\n", "POST / HTTP/1.1"),
    () => undefined,
  ],
  ["TOO_MANY_FIELDS", 431, request("a: b\r\n".repeat(300)), () => undefined],
  ["HEAD_TOO_LONG", 431, request(`a: ${"b".repeat(20_000)}\r\n`), () => undefined],
];

describe("what the gateway answers itself", () => {
  it.each(answers)("%s is a problem with status %i", (code, status, bytes, arrange, more = {}) =>
    withBench(make, async (bench) => {
      await arrange(bench);
      const answer = parts(await bench.client().send(bytes).until(/\}\n$/));
      expect(answer.status).toBe(status);
      expect(answer.fields).toMatchObject({
        "content-type": "application/problem+json",
        "appctl-gateway": code,
        "cache-control": "no-store",
        "content-length": String(Buffer.byteLength(answer.body)),
        ...more,
      });
      expect(answer.fields).not.toHaveProperty("appctl-revision");
      const problem = Problem.parse(JSON.parse(answer.body));
      expect(problem).toMatchObject({
        status,
        code,
        type: `urn:appctl:problem:${code.toLowerCase().replaceAll("_", "-")}`,
      });
      expect(problem.detail).not.toMatch(/\/tmp|\.sock|undefined/);
    }),
  );

  it.each(answers.filter(([code]) => !["HEAD_TOO_LONG", "TRANSFER_CODING_UNSUPPORTED"].includes(code)))(
    "%s (%i) answers a WebSocket request too",
    (code, status, bytes, arrange) =>
      withBench(make, async (bench) => {
        await arrange(bench);
        const client = bench.client().send(bytes.replace("\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
        const answer = parts(await client.untilEnd());
        expect([answer.status, answer.fields["appctl-gateway"]]).toEqual([status, code]);
        expect(Problem.parse(JSON.parse(answer.body)).code).toBe(code);
      }),
  );

  it("shows a caller without a key nothing of the app: it is neither asked nor leased", () =>
    withBench(make, async (bench) => {
      refuse(401, "NO_KEY")(bench);
      let seen = 0;
      await bench.httpReplica(() => seen++);
      bench.route.stopped = true;
      expect(parts(await bench.client().send(request()).until(/\}\n$/)).status).toBe(401);
      expect([seen, bench.releases.length]).toEqual([0, 0]);
    }));

  it("keeps the connection in step after refusing a request with a body", () =>
    withBench(make, async (bench) => {
      const text = await bench
        .client()
        .send(`${request("Content-Length: 5\r\n", "POST / HTTP/1.1")}hello${request()}`)
        .until((so) => so.split("HTTP/1.1 503 ").length === 3);
      expect(text).not.toContain("400");
    }));

  it("answers HEAD without a body", () =>
    withBench(make, async (bench) => {
      const client = bench.client().send(request("Connection: close\r\n", "HEAD / HTTP/1.1"));
      const answer = parts(await client.untilEnd());
      expect([answer.status, answer.body, answer.fields["appctl-gateway"]]).toEqual([503, "", "NO_REPLICA"]);
    }));

  it("closes after refusing a client that waits for 100: nobody knows whether its body will come", () =>
    withBench(make, async (bench) => {
      const client = bench.client().send(request("Content-Length: 5\r\nExpect: 100-continue\r\n", "POST / HTTP/1.1"));
      const text = await client.untilEnd();
      expect(parts(text).status).toBe(503);
      expect(text).not.toContain("100 Continue");
    }));
});
