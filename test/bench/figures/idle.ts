import { setTimeout as pause } from "node:timers/promises";
import type { PlatformStatus } from "../../../src/contract/types.ts";
import { World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { Fleet } from "../fleet.ts";
import { family, memory, processorTime } from "../programs.ts";

const APPS = 50;

/**
 * A platform that has nothing to do, with many apps that have nothing to do but a limit on their memory: where the machine
 * has no writable control groups, the platform watches it. Its memory is the resident set size (RSS) of its three processes, and
 * of every process below them that is no app. In that, pages that it shares with the apps, which run the same Node, count in
 * full; the proportional set size (PSS), where they count in equal parts, stands beside it.
 */
export const idle: Figure = {
  name: "idle",
  rows: {
    memory: {
      what: `the platform's memory on top of ${APPS} running apps' own (RSS: what it shares with them counts in full)`,
      unit: "MiB",
    },
    share: {
      what: "the same, with its share of what it shares (PSS)",
      unit: "MiB",
      target: { of: "value", atMost: 112 },
      missed: "the heap keeps what the deploys before needed",
    },
    apps: { what: "memory of one of these apps for information (PSS, mean)", unit: "MiB" },
    processor: {
      what: `the platform's processor time while ${APPS} apps with a memory limit run idle, over a minute`,
      unit: "% of a core",
      target: { of: "value", atMost: 0.5 },
      missed:
        "this machine has no writable control groups, so the platform looks at the memory of each app again and again",
    },
  },
  async measure({ quick }) {
    const world = await World.create();
    try {
      const fleet = await Fleet.create(world, quick ? 5 : APPS);
      for (const name of fleet.names) await fleet.deploy(name, { limits: { mem: "512Mi" } });
      const { supervisorPid = 0 } = await world.json<PlatformStatus>(["platform", "status"]);
      const apps = await fleet.pids();
      if (apps.length !== fleet.names.length) throw new Error(`${apps.length} replicas of ${fleet.names.length} apps`);
      await fleet.client.close();
      // What the deploys left to do is done by then: drained revisions, closing connections.
      await pause(quick ? 1000 : 20_000);

      const ofApps = new Set(apps.flatMap((app) => family(app)));
      const ofPlatform = family(supervisorPid).filter((id) => !ofApps.has(id));
      const time = () => ofPlatform.reduce((sum, id) => sum + processorTime(id), 0);
      const [before, start] = [time(), performance.now()];
      await pause(quick ? 3000 : 60_000);
      const processor = ((time() - before) / (performance.now() - start)) * 100;
      const own = ofPlatform.map(memory);
      const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
      return {
        rows: {
          memory: { value: sum(own.map(({ rss }) => rss)) },
          share: { value: sum(own.map(({ pss }) => pss)) },
          apps: { value: sum([...ofApps].map((id) => memory(id).pss)) / apps.length },
          processor: { value: processor },
        },
      };
    } finally {
      await world.close();
    }
  },
};
