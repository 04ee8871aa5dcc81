/** The runtime `docker` on Podman's service, as root and as a user: cases that run in a network of their own, one by one. */
import { describe, expect, it } from "vitest";
import { noPodman } from "../docker/podman.ts";
import { type NestedTest, runInOwnNetwork } from "./own-network.ts";

const runs = [
  { name: "the runtime docker on Podman", file: "podman.contract.ts", rootless: false, atLeast: 100 },
  { name: "the runtime docker on rootless Podman", file: "rootless.contract.ts", rootless: true, atLeast: 20 },
];

for (const { name, file, rootless, atLeast } of runs) {
  const reason = noPodman({ rootless });
  if (reason !== undefined) console.warn(`SKIPPED ${name}: ${reason}`);
  const tests: NestedTest[] = reason === undefined ? await runInOwnNetwork(file, { rootless }) : [];

  describe.skipIf(reason !== undefined)(name, () => {
    it("is held to its cases", () => expect(tests.length).toBeGreaterThan(atLeast));

    for (const { name, status, messages } of tests) {
      it(name, () => {
        if (status !== "passed") throw new Error([status, ...messages].join("\n\n"));
      });
    }
  });
}
