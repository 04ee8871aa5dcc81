/** For a platform that runs in a process of its own, outside the test runner. */
import { request } from "node:http";
import { join } from "node:path";
import type { Lease } from "../../src/core/lease.ts";
import { Redacted } from "../../src/core/redacted.ts";
import { createIsolation } from "../../src/engine/local/process/isolation/create-isolation.ts";
import type { Isolation } from "../../src/engine/local/process/isolation/isolation.ts";
import { hostTarget, targetName } from "../../src/packages/npm-target.ts";
import { ReplicaKeeper } from "../../src/supervisor/replica-keeper.ts";
import type { ProcessEngineOptions } from "./process-engine.ts";

/** Options on `base`, laid out as the tests lay it out. */
export function engineOptions(base: string): ProcessEngineOptions {
  return {
    stateDir: join(base, "state"),
    runtimeDir: join(base, "run"),
    node: process.execPath,
    platform: targetName(hostTarget()),
    prepare: async (digest) => ({ dir: join(base, "content", digest) }),
    readSecret: async () => new Redacted(Buffer.from("secret")),
    host: new ReplicaKeeper(),
    log: (message) => process.stderr.write(`${message}\n`),
  };
}

/** Users of their own for the apps of the platform on `base`, which others must be able to pass through. */
export function usersOfTheirOwn(base: string): Isolation {
  const log = (message: string) => process.stderr.write(`${message}\n`);
  return createIsolation({
    stateDir: join(base, "state"),
    sharedDir: join(base, "shared"),
    node: process.execPath,
    log,
  });
}

/** The body of an answer. */
export function call(lease: Lease, path = "/"): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ ...lease.address, path, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () => resolve(body)).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}
