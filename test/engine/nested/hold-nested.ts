/** The cases of a file that is run in a network of its own, as tests of the suite, one by one. */
import { describe, expect, it } from "vitest";
import { runInOwnNetwork } from "./nested-run.ts";

/** What is run. `without`: why this machine cannot; `atLeast`: how many cases there are, so that none gets lost. */
export interface Nested {
  on: string;
  file: string;
  rootless: boolean;
  without: string | undefined;
  atLeast: number;
}

/** Runs them now, and makes each a test. */
export async function holdNested({ on, file, rootless, without, atLeast }: Nested): Promise<void> {
  if (without !== undefined) console.warn(`SKIPPED the runtime docker on ${on}: ${without}`);
  const tests = without === undefined ? await runInOwnNetwork(file, { rootless }) : [];

  describe.skipIf(without !== undefined)(`the runtime docker on ${on}`, () => {
    it("is held to its cases", () => expect(tests.length).toBeGreaterThanOrEqual(atLeast));

    for (const { name, status, messages } of tests) {
      it(name, () => {
        if (status !== "passed") throw new Error([status, ...messages].join("\n\n"));
      });
    }
  });
}
