/** The first deploy of an app, and what is seen of it. */
import { expect } from "vitest";
import { call, collect, ref, until } from "../../helpers.ts";
import { never, ready } from "../ground.ts";
import type { Cases } from "../suite.ts";
import { INGRESS_NOT_CONFIGURED, OUT_OF_DATE, REVISION_MISSING } from "../words.ts";

export const starting: Cases = {
  async "a first deploy passes the steps of Knative, each once and in order"(on) {
    const first = await on.revision("web-00001");
    expect(await on.deploy(first)).toEqual([
      { revision: "web-00001", ...REVISION_MISSING },
      { revision: "web-00001", ...INGRESS_NOT_CONFIGURED },
      ready(first),
    ]);
  },

  async "who observes a revision that is not wanted yet sees that, then every step"(on) {
    const first = await on.revision("web-00001");
    const reasons: string[] = [];
    for await (const { reason } of on.engine.observe(ref, first.name, never)) {
      // Only when the observer has begun: an iterable that nobody asks has seen nothing.
      if (reasons.length === 0) await on.want(first);
      reasons.push(reason);
    }
    expect(reasons).toEqual(["OutOfDate", "RevisionMissing", "IngressNotConfigured", ""]);
  },

  async "an observer that takes its time misses no step"(on) {
    const first = await on.revision("web-00001");
    await on.want(first);
    const reasons: string[] = [];
    for await (const { reason } of on.engine.observe(ref, first.name, never)) {
      // Everything has happened before the second step is asked for.
      await on.conditions(first);
      reasons.push(reason);
    }
    expect(reasons).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
  },

  async "a revision of which nothing is known is OutOfDate, and observing it ends with the signal"(on) {
    const aborter = new AbortController();
    const seen = [];
    for await (const condition of on.engine.observe(ref, "web-00001", aborter.signal)) {
      seen.push(condition);
      setImmediate(() => aborter.abort());
    }
    expect(seen).toEqual([{ revision: "web-00001", ...OUT_OF_DATE }]);
  },

  async "observing a start ends with the signal, and changes nothing"(on) {
    const first = await on.revision("web-00001", { start: "never listens" });
    await on.want(first);
    const aborter = new AbortController();
    const seen = [];
    for await (const { reason } of on.engine.observe(ref, first.name, aborter.signal)) {
      seen.push(reason);
      setImmediate(() => aborter.abort());
    }
    expect(seen).toEqual(["RevisionMissing"]);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Starting" }]);
  },

  async "a signal that has aborted already lets nothing be observed"(on) {
    await on.serveNew("web-00001");
    expect(await collect(on.engine.observe(ref, "web-00001", AbortSignal.abort()))).toEqual([]);
  },

  async "who observes after the verdict gets the verdict alone"(on) {
    const first = await on.serveNew("web-00001");
    expect(await on.conditions(first)).toEqual([ready(first)]);
    expect(await on.conditions(first)).toEqual([ready(first)]);
  },

  async "two who observe the same revision see the same"(on) {
    const first = await on.revision("web-00001");
    await on.want(first);
    const [one, two] = await Promise.all([on.conditions(first), on.conditions(first)]);
    expect(one).toEqual(two);
    expect(one.at(-1)).toEqual(ready(first));
  },

  async "apply returns at once; until the revision is ready there is a replica and no lease"(on) {
    await on.want(await on.revision("web-00001", { start: "never listens" }));
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
    await until(() => on.replicas[0]?.startedAt);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Starting", restarts: 0, lastExit: null }]);
  },

  async "what is ready serves: one replica, with its name, its time and its answer"(on) {
    await on.serveNew("web-00001", { answer: "hello" });
    expect(on.serving).toBe("web-00001");
    const { replicas } = on;
    expect(replicas).toMatchObject([{ revision: "web-00001", state: "Ready", restarts: 0, lastExit: null }]);
    expect(replicas[0]?.name).toMatch(/^web-00001-/);
    expect(new Date(replicas[0]?.startedAt ?? "").toISOString()).toBe(replicas[0]?.startedAt);
    const lease = on.lease();
    expect(lease).toMatchObject({ revision: "web-00001", replica: replicas[0]?.name });
    expect(await call(lease)).toMatchObject({ status: 200, body: "hello" });
  },

  async "the same state again changes nothing"(on) {
    const first = await on.serveNew("web-00001");
    const life = await on.ask("/life");
    const { replicas } = on;
    expect(await on.deploy(structuredClone(first))).toEqual([ready(first)]);
    expect(on.replicas).toEqual(replicas);
    expect(await on.ask("/life")).toBe(life);
  },

  async "the same state again during a start does not start it twice"(on) {
    const first = await on.revision("web-00001", { prints: [{ stream: "stdout", base64: btoa("started\n") }] });
    await on.want(first);
    await on.want(first);
    await on.serve(first);
    await on.print("asked\n");
    expect((await on.textsUpTo("asked")).filter((text) => text === "started")).toHaveLength(1);
  },

  async "apps of one name in two projects or domains know nothing of each other"(on) {
    const refs = [ref, { ...ref, project: "other" }, { ...ref, domain: "other" }];
    for (const [at, app] of refs.entries()) {
      const revision = await on.revision("web-00001", { answer: `app ${at}` });
      await on.engine.apply({ ref: app, revisions: [revision], traffic: revision.name });
      expect((await collect(on.engine.observe(app, revision.name, never))).at(-1)).toEqual(ready(revision));
    }
    await on.engine.delete(ref);
    expect(on.serving).toBeNull();
    for (const [at, app] of refs.entries()) {
      if (at > 0) expect(await call(on.engine.lease(app))).toMatchObject({ body: `app ${at}` });
    }
  },

  async "the args of an App are handed to the entry point of its image, and its secrets are there"(on) {
    const spec = { kind: "args" as const, args: ["main.mjs"] };
    const details = { spec, entrypoint: ["node"], secrets: [on.secret("TOKEN", "token")] };
    await on.serveNew("web-00001", { answer: "entered" }, details);
    expect(await on.ask()).toBe("entered");
    expect(JSON.parse(await on.ask("/env"))["TOKEN"]).toBe("token");
  },
};
