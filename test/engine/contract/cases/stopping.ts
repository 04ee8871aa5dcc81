/** Apps of which nothing is to run. */
import { expect } from "vitest";
import { ref } from "../../helpers.ts";
import { lifeAt, ready } from "../ground.ts";
import type { Cases } from "../suite.ts";
import { OUT_OF_DATE, revisionDeleted } from "../words.ts";

export const stopping: Cases = {
  async "a stopped app serves nothing and its replicas end"(on) {
    await on.serveNew("web-00001");
    const lease = on.lease();
    lease.release();
    await on.want();
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
    await on.settled();
    expect(await lifeAt(lease)).toBeNull();
  },

  async "a start after a stop is a first deploy again"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const life = await on.ask("/life");
    await on.stop();
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
    expect(on.serving).toBe("web-00001");
    expect(await on.ask()).toBe("one");
    expect(await on.ask("/life")).not.toBe(life);
  },

  async "a stop during a start takes the revision back"(on) {
    const first = await on.revision("web-00001", { start: "never listens" });
    await on.want(first);
    const observed = on.conditions(first);
    await on.want();
    expect((await observed).at(-1)).toEqual({ revision: "web-00001", ...revisionDeleted("web-00001") });
    await on.settled();
    expect((await on.conditions(first)).at(-1)).toMatchObject({ ready: "False", cause: { code: "SUPERSEDED" } });
  },

  async "a revision that served and was stopped has no verdict any more"(on) {
    const first = await on.serveNew("web-00001");
    await on.stop();
    expect(await on.condition(first)).toEqual({ revision: "web-00001", ...OUT_OF_DATE });
  },

  async "a stop of what never ran, and a second stop, do no harm"(on) {
    await on.want();
    await on.want();
    expect(on.serving).toBeNull();
    await on.serveNew("web-00001");
    await on.stop();
    await on.want();
    expect(on.replicas).toEqual([]);
  },

  async "of stops and starts in one breath the last one holds"(on) {
    const first = await on.serveNew("web-00001");
    await Promise.all([on.want(), on.want(first), on.want(), on.want(first), on.want()]);
    await on.settled();
    expect(on.serving).toBeNull();
    await Promise.all([on.want(first), on.want(), on.want(first)]);
    expect((await on.conditions(first)).at(-1)).toEqual(ready(first));
    await on.settled("web-00001");
    expect(await on.ask()).toBe("ok");
  },

  async "another revision can be started after a stop, and fails as a first one does"(on) {
    await on.serveNew("web-00001");
    await on.stop();
    const conditions = await on.deploy(await on.revision("web-00002", { start: 5 }));
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "RevisionFailed"]);
    expect(on.serving).toBeNull();
    expect(on.replicas).toEqual([]);
  },
};
