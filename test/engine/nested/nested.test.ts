/** The runtime `docker` on engines that need a network of their own, as root and as a user: cases that run there, one by one. */
import { describe, expect, it } from "vitest";
import { noRootlessDockerd } from "../docker/dockerd.ts";
import { noPodman } from "../docker/podman.ts";
import { type NestedTest, runInOwnNetwork } from "./nested-run.ts";

const runs = [
  { on: "Podman", file: "podman.contract.ts", atLeast: 100, rootless: false, without: noPodman({ backend: "cni" }) },
  {
    ...{ on: "rootless Podman", file: "rootless-podman.contract.ts", atLeast: 20, rootless: true },
    without: noPodman({ backend: "netavark", rootless: true }),
  },
  {
    ...{ on: "rootless Docker", file: "rootless-docker.contract.ts", atLeast: 20, rootless: true },
    without: noRootlessDockerd(),
  },
];

for (const { on, file, atLeast, rootless, without } of runs) {
  if (without !== undefined) console.warn(`SKIPPED the runtime docker on ${on}: ${without}`);
  const tests: NestedTest[] = without === undefined ? await runInOwnNetwork(file, { rootless }) : [];

  describe.skipIf(without !== undefined)(`the runtime docker on ${on}`, () => {
    it("is held to its cases", () => expect(tests.length).toBeGreaterThan(atLeast));

    for (const { name, status, messages } of tests) {
      it(name, () => {
        if (status !== "passed") throw new Error([status, ...messages].join("\n\n"));
      });
    }
  });
}
