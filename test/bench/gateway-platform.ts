/**
 * The platform of the gateway's figure, in a process of its own: all of it, its store, its routes and its listener, but with
 * an engine whose one replica is the upstream server that the other proxies have, too: `node gateway-platform.ts SOCKET`.
 */
import type { AppRef } from "../../src/contract/types.ts";
import type { Lease } from "../../src/core/lease.ts";
import { Leases } from "../../src/engine/local/leases.ts";
import { FakeEngine } from "../engine/fake-engine.ts";
import { programImage, programSpec, refOf, startPlatform } from "../support/in-process.ts";

const [socketPath] = process.argv.slice(2);
if (socketPath === undefined) throw new Error("usage: gateway-platform.ts SOCKET");

/** What the engine `local` does for a request: one look-up, one lease. The fake's own replica would be measured, too. */
class LeanEngine extends FakeEngine {
  readonly #serving = new WeakMap<AppRef, string>();
  readonly #held = new Leases();

  override serving(ref: AppRef): string | null {
    const known = this.#serving.get(ref);
    if (known !== undefined) return known;
    const serving = super.serving(ref);
    if (serving !== null) this.#serving.set(ref, serving);
    return serving;
  }

  override lease(ref: AppRef): Lease | null {
    const revision = this.serving(ref);
    if (revision === null) return null;
    const release = this.#held.take();
    return { revision, replica: "web", address: { socketPath: socketPath as string }, token: "replica", release };
  }
}

const test = await startPlatform({
  makeEngine: async () => new LeanEngine({ address: { socketPath }, token: "replica" }),
});
const { id } = await test.client.applyApp(refOf("web"), programSpec("web"), await programImage(test, ""), "web");
for await (const event of test.client.follow(refOf("web"), id, 0)) {
  if (event.type === "succeeded") process.send?.({ host: new URL(event.endpoint).hostname, port: test.platform.port });
  else if (event.type === "failed") throw new Error(event.cause.message);
}
process.once("disconnect", () => void test.close());
