/** A new revision beside one that serves. */
import { expect } from "vitest";
import { call, until } from "../../helpers.ts";
import { ready } from "../ground.ts";
import type { Cases } from "../suite.ts";
import {
  INGRESS_NOT_CONFIGURED,
  OUT_OF_DATE,
  revisionDeleted,
  revisionFailed,
  TRAFFIC_NOT_MIGRATED,
} from "../words.ts";

export const updating: Cases = {
  async "an update passes TrafficNotMigrated in the place of RevisionMissing"(on) {
    const first = await on.serveNew("web-00001");
    const second = await on.revision("web-00002");
    expect(await on.deploy(second, first)).toEqual([
      { revision: "web-00002", ...TRAFFIC_NOT_MIGRATED },
      { revision: "web-00002", ...INGRESS_NOT_CONFIGURED },
      ready(second),
    ]);
    expect(on.serving).toBe("web-00002");
  },

  async "requests go to the old revision until the new one is ready"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    await on.want(await on.revision("web-00002", { start: "never listens" }), first);
    await until(() => on.replicas.length === 2 && on.replicas.every(({ startedAt }) => startedAt));
    expect(on.replicas).toMatchObject([
      { revision: "web-00001", state: "Ready" },
      { revision: "web-00002", state: "Starting" },
    ]);
    expect(on.serving).toBe("web-00001");
    expect(await on.ask()).toBe("one");
  },

  async "they do so even when the old revision is not wanted any more"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    await on.want(await on.revision("web-00002", { start: "never listens" }));
    expect(on.serving).toBe("web-00001");
    expect(await on.ask()).toBe("one");
    await on.serveNew("web-00003", { answer: "three" });
    expect(await on.ask()).toBe("three");
    await on.settled("web-00003");
  },

  async "a failed update leaves the old revision as it is"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const life = await on.ask("/life");
    const words = revisionFailed("web-00002", "EXITED", "it exited with code 4 before it was ready");
    expect(await on.deploy(await on.revision("web-00002", { start: 4 }), first)).toEqual([
      { revision: "web-00002", ...TRAFFIC_NOT_MIGRATED },
      { revision: "web-00002", ...words },
    ]);
    expect(on.serving).toBe("web-00001");
    expect(await on.conditions(first)).toEqual([ready(first)]);
    await on.serve(first);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Ready", restarts: 0 }]);
    expect(await on.ask("/life")).toBe(life);
  },

  async "after a failed update the next one is an update"(on) {
    const first = await on.serveNew("web-00001");
    await on.deploy(await on.revision("web-00002", { start: 4 }), first);
    const conditions = await on.deploy(await on.revision("web-00003"), first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["TrafficNotMigrated", "IngressNotConfigured", ""]);
  },

  async "a newer state takes a starting revision back, and says so to who observes it"(on) {
    const first = await on.serveNew("web-00001");
    const second = await on.revision("web-00002", { start: "never listens" });
    await on.want(second, first);
    const observed = on.conditions(second);
    await on.serve(await on.revision("web-00003", { answer: "three" }), first);
    expect((await observed).at(-1)).toEqual({ revision: "web-00002", ...revisionDeleted("web-00002") });
    await until(() => on.replicas.length === 2);
    expect(on.replicas.map(({ revision }) => revision)).toEqual(["web-00001", "web-00003"]);
    expect(await on.ask()).toBe("three");
  },

  async "traffic that is moved to another starting revision goes to that one alone"(on) {
    const first = await on.revision("web-00001", { answer: "one" });
    const second = await on.revision("web-00002", { answer: "two" });
    await on.want(first, second);
    await on.serve(second, first);
    expect(on.serving).toBe("web-00002");
    expect(await on.ask()).toBe("two");
  },

  async "two revisions run at once, and traffic moves between them without a restart"(on) {
    const first = await on.serveNew("web-00001");
    const firstLife = await on.ask("/life");
    const second = await on.revision("web-00002");
    await on.serve(second, first);
    const secondLife = await on.ask("/life");
    expect(secondLife).not.toBe(firstLife);
    for (const [to, other, life] of [
      [first, second, firstLife],
      [second, first, secondLife],
    ] as const) {
      await on.serve(to, other);
      expect(on.serving).toBe(to.name);
      expect(await on.ask("/life")).toBe(life);
      expect(on.replicas).toHaveLength(2);
    }
  },

  async "a revision that runs and is not to get traffic stays TrafficNotMigrated"(on) {
    const first = await on.revision("web-00001");
    const second = await on.revision("web-00002");
    await on.serve(first, second);
    await on.settled("web-00001", "web-00002");
    expect(await on.condition(second)).toEqual({ revision: "web-00002", ...TRAFFIC_NOT_MIGRATED });
    expect(on.serving).toBe("web-00001");
  },

  async "the old revision ends when it is not wanted any more"(on) {
    const first = await on.serveNew("web-00001");
    const second = await on.revision("web-00002");
    await on.serve(second, first);
    const life = await on.ask("/life");
    await on.want(second);
    await on.settled("web-00002");
    expect(await on.ask("/life")).toBe(life);
    expect(await on.conditions(second)).toEqual([ready(second)]);
  },

  async "a revision that had served is no failed one when an update takes it away"(on) {
    const first = await on.serveNew("web-00001");
    const second = await on.revision("web-00002");
    await on.serve(second, first);
    await on.want(second);
    await on.settled("web-00002");
    expect(await on.condition(first)).toEqual({ revision: "web-00001", ...OUT_OF_DATE });
  },

  async "a rollback starts the old revision again under its own name"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    await on.serveNew("web-00002", { answer: "two" });
    await on.settled("web-00002");
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["TrafficNotMigrated", "IngressNotConfigured", ""]);
    expect(await on.ask()).toBe("one");
    await on.settled("web-00001");
  },

  async "under load no request is lost, and none gets to the old revision once traffic has moved"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const answers: { moved: boolean; body: string }[] = [];
    let running = true;
    const clients = Array.from({ length: 4 }, async () => {
      while (running) {
        const moved = on.serving === "web-00002";
        answers.push({ moved, body: (await call(on.lease())).body });
      }
    });
    await until(() => answers.length > 10);
    const second = await on.revision("web-00002", { answer: "two" });
    await on.serve(second, first);
    await on.want(second);
    await on.settled("web-00002");
    const soFar = answers.length;
    await until(() => answers.length > soFar + 10);
    running = false;
    await Promise.all(clients);
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["one", "two"]));
    expect(answers.filter(({ moved, body }) => moved && body !== "two")).toEqual([]);
  },
};
