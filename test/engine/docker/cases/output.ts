/** What a container prints, when the way to the engine breaks. */
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { ref, temporaryDirectory, until } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";

/** A way to an engine's socket that can be cut. What comes after takes it again. */
async function startWay(to: string) {
  const sockets = new Set<Socket>();
  const server = createServer((from) => {
    const socket = connect(to);
    for (const [one, other] of [[from, socket] as const, [socket, from] as const]) {
      sockets.add(one);
      one.on("error", () => {}).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  const path = join(temporaryDirectory(), "way.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    path,
    cut() {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
  };
}

export const output: ContainerCases = {
  async "it is read again when the connection to the engine broke, and the container lives on"(on) {
    const way = await startWay(on.api.socketPath);
    await on.open({ env: { ...on.options.env, DOCKER_HOST: `unix://${way.path}` } });
    await on.deploy(await on.program("console.log(req.url) ?? process.pid"));
    const texts: string[] = [];
    const following = new AbortController();
    const followed = (async () => {
      for await (const { line } of on.engine.logs(ref, { follow: true, signal: following.signal })) texts.push(line);
    })();
    await on.ask("/before");
    await until(() => texts.includes("/before"));
    way.cut();
    await until(() => on.messages.some((message) => message.endsWith("is read again: lines may be missing")));
    await on.ask("/after");
    await until(() => texts.includes("/after"));
    following.abort();
    await followed;
    expect(on.engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
  },
};
