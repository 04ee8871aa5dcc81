/** Registries and token services whose answers are longer than anything that they have to say. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline, Readable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { failureOf } from "../../image/support.ts";
import { pauses, repositoryAt } from "./support.ts";

const LENGTH = 64 * 1024 ** 2;

describe("an answer without end", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Answers with {@link LENGTH} bytes, as fast as they are taken; gives how many were sent when the connection has ended. */
  function long(status: number, begin: string) {
    const sent = Promise.withResolvers<number>();
    const answer: RequestListener = (_, response) => {
      let size = 0;
      const body = function* () {
        for (let chunk = begin; size < LENGTH; chunk = "x".repeat(64 * 1024)) {
          size += chunk.length;
          yield chunk;
        }
      };
      response.writeHead(status);
      pipeline(Readable.from(body(), { objectMode: false }), response, () => sent.resolve(size));
    };
    return { answer, sent: sent.promise };
  }

  it("is left when it says that a request is refused", async () => {
    const { answer, sent } = long(403, "<html>");
    const repository = repositoryAt(await serve(answer), { ...pauses(), access: "pull" });
    const error = await failureOf(repository.manifest("1"));
    expect(error).toMatchObject({ code: "REGISTRY_REFUSED", exit: 3 });
    expect(await sent).toBeLessThan(LENGTH);
    await repository.close();
  });

  it("is left when a token service gives it", async () => {
    const { answer, sent } = long(200, '{"token":"');
    const realm = `http://${await serve(answer)}/token`;
    const host = await serve((_, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}"` }).end();
    });
    const repository = repositoryAt(host, { ...pauses(), access: "pull" });
    const error = await failureOf(repository.manifest("1"));
    expect(error).toMatchObject({ code: "REGISTRY_ERROR", message: expect.stringContaining("gave no token") });
    expect(await sent).toBeLessThan(LENGTH);
    await repository.close();
  });
});
