import { World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { Fleet } from "../fleet.ts";
import { compare, median, type Pairs } from "../statistics.ts";

const APPS = 50;
/** How often one is deployed alone for each time that all are deployed at once. */
const ALONE = 3;

/**
 * First deploys of new apps by the API, their common image uploaded before: from the request to the verdict, which means
 * unpacked, started, routed and proven at the public address. What the CLI does before is not in it.
 */
export const manyDeploys: Figure = {
  name: "many-deploys",
  rows: {
    throughput: {
      what: `${APPS} deploys of ${APPS} apps at once, by the API: deploys a second`,
      against: "one after the other",
      unit: "deploys/s",
      target: { of: "ratio", atLeast: 1 },
      missed: "the apps' own starts share the cores",
    },
    slowest: {
      what: "the slowest of them, from its request to its verdict",
      against: `${APPS} × one alone`,
      unit: "ms",
      target: { of: "ratio", atMost: 1 },
      missed: "the apps' own starts share the cores",
    },
  },
  async measure({ quick, rounds }) {
    const world = await World.create();
    try {
      const fleet = await Fleet.create(world, quick ? 5 : APPS);
      const throughput: Pairs = { ours: [], floor: [] };
      const slowest: Pairs = { ours: [], floor: [] };
      const count = fleet.names.length;
      for (let round = 0; round < rounds(5); round++) {
        const alone: number[] = [];
        for (const name of fleet.names.slice(0, ALONE)) {
          alone.push(await fleet.deploy(name));
          await fleet.delete(name);
        }
        const start = performance.now();
        const times = await Promise.all(fleet.names.map((name) => fleet.deploy(name)));
        const all = performance.now() - start;
        throughput.ours.push((count * 1000) / all);
        throughput.floor.push(1000 / median(alone));
        slowest.ours.push(Math.max(...times));
        slowest.floor.push(median(alone) * count);
        await Promise.all(fleet.names.map((name) => fleet.delete(name)));
      }
      await fleet.client.close();
      return { rows: { throughput: compare(throughput), slowest: compare(slowest) } };
    } finally {
      await world.close();
    }
  },
};
