/** The runtime `docker` on Podman's service, as root and as a user: cases that run in a network of their own, one by one. */
import { describe, expect, it } from "vitest";
import { noPodman, type PodmanNeeds } from "../docker/podman.ts";
import { type NestedTest, runInOwnNetwork } from "./own-network.ts";

const runs: { on: string; file: string; atLeast: number; needs: PodmanNeeds }[] = [
  { on: "Podman", file: "podman.contract.ts", atLeast: 100, needs: { backend: "cni" } },
  { on: "rootless Podman", file: "rootless.contract.ts", atLeast: 20, needs: { backend: "netavark", rootless: true } },
];

for (const { on, file, atLeast, needs } of runs) {
  const reason = noPodman(needs);
  if (reason !== undefined) console.warn(`SKIPPED the runtime docker on ${on}: ${reason}`);
  const tests: NestedTest[] = reason === undefined ? await runInOwnNetwork(file, needs) : [];

  describe.skipIf(reason !== undefined)(`the runtime docker on ${on}`, () => {
    it("is held to its cases", () => expect(tests.length).toBeGreaterThan(atLeast));

    for (const { name, status, messages } of tests) {
      it(name, () => {
        if (status !== "passed") throw new Error([status, ...messages].join("\n\n"));
      });
    }
  });
}
