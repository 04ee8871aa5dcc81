/** A registry that is out of order for a while. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../../src/oci/model.ts";
import { failureOf } from "../../image/support.ts";
import { pauses, repositoryAt } from "./support.ts";

/** A registry that answers 503 so many times, then as it should. */
async function registryAfter(failures: number) {
  let requests = 0;
  const server = createServer((_, response) => {
    if (++requests <= failures) return response.writeHead(503).end();
    return response
      .writeHead(200, { "docker-content-digest": digestOf(Buffer.from("x")), "content-type": "x", "content-length": 1 })
      .end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { asked, wait } = pauses();
  const repository = repositoryAt(`127.0.0.1:${(server.address() as AddressInfo).port}`, { wait });
  onTestFinished(async () => {
    await repository.close();
    server.close();
  });
  return { repository, pauses: asked, requests: () => requests };
}

it("is asked five times more", async () => {
  const { repository, pauses, requests } = await registryAfter(5);
  expect(await repository.resolve("1")).toMatchObject({ size: 1 });
  expect(requests()).toBe(6);
  expect(pauses).toHaveLength(5);
});

it("is given up after that", async () => {
  const { repository, requests } = await registryAfter(6);
  expect(await failureOf(repository.resolve("1"))).toMatchObject({ exit: 6 });
  expect(requests()).toBe(6);
});
