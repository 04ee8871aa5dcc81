/** A whole platform, with its real listener and gateway, before a replica that the test has made. */
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { Lease } from "../../src/core/lease.ts";
import { FakeEngine } from "../engine/fake-engine.ts";
import { programImage, programSpec, refOf, startPlatform, type TestPlatform } from "../support/in-process.ts";

/** Tells how many requests the gateway has let through. */
export class CountingEngine extends FakeEngine {
  admitted = 0;

  override lease(ref: Parameters<FakeEngine["lease"]>[0]): Lease | null {
    this.admitted++;
    return super.lease(ref);
  }
}

/** A platform with one app, and the host name of that app. */
export interface BeforeReplica {
  test: TestPlatform;
  engine: CountingEngine;
  host: string;
  port: number;
}

/** Starts a platform with an app that `replica` serves. */
export async function startBefore(replica: Server): Promise<BeforeReplica> {
  replica.listen(0, "127.0.0.1");
  await once(replica, "listening");
  const address = { host: "127.0.0.1", port: (replica.address() as AddressInfo).port };
  const engine = new CountingEngine({ address });
  const test = await startPlatform({ makeEngine: async () => engine });
  const { deployer, store, addresses } = test.platform.services;
  await deployer.accept(refOf("web"), programSpec("web"), await programImage(test, ""), undefined);
  const app = store.find(refOf("web"));
  while (app && store.openDeployments(app.id).length > 0) await turn();
  const host = addresses.host(store.find(refOf("web"))?.subdomain ?? "");
  return { test, engine, host, port: test.platform.port };
}
