/**
 * What every engine must hold. The cases know an engine only through `Engine`, so that the same ones run on processes, in
 * containers, on Knative and on the fake.
 */
import { describe, expect, it } from "vitest";
import { sampleOf } from "../../support/amount.ts";
import { crashing } from "./cases/crashing.ts";
import { deleting } from "./cases/deleting.ts";
import { draining } from "./cases/draining.ts";
import { environment } from "./cases/environment.ts";
import { failing } from "./cases/failing.ts";
import { limits } from "./cases/limits.ts";
import { logs } from "./cases/logs.ts";
import { restarting } from "./cases/restarting.ts";
import { secrets } from "./cases/secrets.ts";
import { starting } from "./cases/starting.ts";
import { stopping } from "./cases/stopping.ts";
import { updating } from "./cases/updating.ts";
import { whole } from "./cases/whole.ts";
import { Ground } from "./ground.ts";
import type { Subject } from "./subject.ts";

/** Cases of one area, by name. */
export type Cases = Readonly<Record<string, (on: Ground) => Promise<void>>>;

/** Every case, by area. */
export const contract: Readonly<Record<string, Cases>> = {
  starting,
  failing,
  updating,
  draining,
  crashing,
  stopping,
  deleting,
  logs,
  secrets,
  environment,
  limits,
  restarting,
  whole,
};

/** Runs every case on one engine; with `perArea`, outside of the tier `long`, that many of each area. */
export function holdToContract(subject: Subject, { perArea = Number.POSITIVE_INFINITY } = {}): void {
  describe(`the engine ${subject.name}`, () => {
    for (const [area, cases] of Object.entries(contract)) {
      describe(area, () => {
        for (const [name, run] of sampleOf(Object.entries(cases), perArea)) {
          const id = `${area}: ${name}`;
          it(name, async (context) => {
            const reason = subject.exceptions[id];
            if (reason !== undefined) {
              console.info(`the engine ${subject.name} does not hold "${id}": ${reason}`);
              context.skip(reason);
            }
            await run(await Ground.of(await subject.stage()));
          });
        }
      });
    }

    it("makes exceptions only of cases that there are", () => {
      const ids = Object.entries(contract).flatMap(([area, cases]) =>
        Object.keys(cases).map((name) => `${area}: ${name}`),
      );
      expect(Object.keys(subject.exceptions).filter((id) => !ids.includes(id))).toEqual([]);
    });
  });
}
