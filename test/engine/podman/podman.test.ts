/** The runtime `docker` on Podman's service: the cases of `podman.contract.ts`, run in a network of their own, one by one. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noPodman } from "../docker/podman.ts";
import { type NestedTest, runInOwnNetwork } from "./own-network.ts";

const reason = noPodman();
if (reason !== undefined) console.warn(`SKIPPED the runtime docker on Podman: ${reason}`);
const tests: NestedTest[] =
  reason === undefined ? await runInOwnNetwork(join(import.meta.dirname, "vitest.config.ts")) : [];

describe.skipIf(reason !== undefined)("the runtime docker on Podman", () => {
  it("is held to the contract", () => expect(tests.length).toBeGreaterThan(100));

  for (const { name, status, messages } of tests) {
    it(name, () => {
      if (status !== "passed") throw new Error([status, ...messages].join("\n\n"));
    });
  }
});
