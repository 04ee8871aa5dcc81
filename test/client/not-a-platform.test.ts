import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { Http } from "../../src/client/platform-http.ts";
import { failureOf } from "../image/support.ts";

/** What the client makes of a server that sends `bytes` to whoever connects. */
async function failureAt(bytes: string) {
  const answer = (socket: Socket) => socket.on("error", () => {}).once("data", () => socket.end(bytes));
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const http = new Http({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, retries: 1 });
  onTestFinished(async () => {
    await http.close();
    server.close();
  });
  return failureOf(http.json({ method: "GET", path: "/api/v1/x" }));
}

describe("what is no platform", () => {
  it("and speaks no HTTP is told as that", async () => {
    expect(await failureAt("SSH-2.0-OpenSSH_9.2p1\r\n")).toMatchObject({
      code: "PLATFORM_UNREACHABLE",
      exit: 6,
      message: expect.stringMatching(/does not answer \(it does not speak HTTP\)$/),
    });
  });

  it("and answers with a page is told as that", async () => {
    const page = "<html>sign in</html>";
    expect(await failureAt(`HTTP/1.1 200 OK\r\ncontent-length: ${page.length}\r\n\r\n${page}`)).toMatchObject({
      code: "UNEXPECTED_ANSWER",
      exit: 6,
      message: expect.stringMatching(/answered 200 to GET \/api\/v1\/x, which is no answer of an appctl platform$/),
    });
  });
});
