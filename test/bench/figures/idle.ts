import { setTimeout as pause } from "node:timers/promises";
import type { PlatformStatus } from "../../../src/contract/types.ts";
import { World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { Fleet } from "../fleet.ts";
import { family, memory, processorTime } from "../programs.ts";

const APPS = 50;

/**
 * A platform that has nothing to do, with many apps that have nothing to do. Its memory is that of its own process, and of
 * every process below it that is no app, as the kernel's proportional set size (PSS): pages that it shares with the apps,
 * which run the same Node, count in equal parts. The resident set size, which counts them in full, stands beside it.
 */
export const idle: Figure = {
  name: "idle",
  rows: {
    memory: {
      what: `the platform's memory on top of ${APPS} running apps' own (PSS)`,
      unit: "MiB",
      target: { of: "value", atMost: 120 },
      missed: "the heap keeps what the deploys before needed",
    },
    resident: {
      what: "the same, with every page that it shares with the apps counted in full (RSS)",
      unit: "MiB",
    },
    apps: { what: "for information: memory of one of these apps (PSS, mean)", unit: "MiB" },
    processor: {
      what: `the platform's processor time while ${APPS} apps run idle, over a minute`,
      unit: "% of a core",
      target: { of: "value", atMost: 0.5 },
      missed: "timers wake it",
    },
  },
  async measure({ quick }) {
    const world = await World.create();
    try {
      const fleet = await Fleet.create(world, quick ? 5 : APPS);
      for (const name of fleet.names) await fleet.deploy(name);
      const { pid } = await world.json<PlatformStatus>(["platform", "status"]);
      const apps = await fleet.pids();
      if (apps.length !== fleet.names.length) throw new Error(`${apps.length} replicas of ${fleet.names.length} apps`);
      await fleet.client.close();
      // What the deploys left to do is done by then: drained revisions, closing connections.
      await pause(quick ? 1000 : 20_000);

      const [before, start] = [processorTime(pid), performance.now()];
      await pause(quick ? 3000 : 60_000);
      const processor = ((processorTime(pid) - before) / (performance.now() - start)) * 100;

      const ofApps = new Set(apps.flatMap((app) => family(app)));
      const own = family(pid)
        .filter((id) => !ofApps.has(id))
        .map(memory);
      const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
      return {
        rows: {
          memory: { value: sum(own.map(({ pss }) => pss)) },
          resident: { value: sum(own.map(({ rss }) => rss)) },
          apps: { value: sum([...ofApps].map((id) => memory(id).pss)) / apps.length },
          processor: { value: processor },
        },
      };
    } finally {
      await world.close();
    }
  },
};
