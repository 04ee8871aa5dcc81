/**
 * The platform of the gateway's figure, in a process of its own: all of it, its store, its routes and its listener, but with
 * an engine whose one replica is the upstream server that the other proxies have, too: `node gateway-platform.ts SOCKET`.
 */
import { FakeEngine } from "../engine/fake-engine.ts";
import { programImage, programSpec, refOf, startPlatform } from "../support/in-process.ts";

const [socketPath] = process.argv.slice(2);
if (socketPath === undefined) throw new Error("usage: gateway-platform.ts SOCKET");
const test = await startPlatform({
  makeEngine: async () => new FakeEngine({ address: { socketPath }, token: "replica" }),
});
const { id } = await test.client.applyApp(refOf("web"), programSpec("web"), await programImage(test, ""), "web");
for await (const event of test.client.follow(refOf("web"), id, 0)) {
  if (event.type === "succeeded") process.send?.({ host: new URL(event.endpoint).hostname, port: test.platform.port });
  else if (event.type === "failed") throw new Error(event.cause.message);
}
process.once("disconnect", () => void test.close());
