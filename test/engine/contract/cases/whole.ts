/** The engine as a whole: what it says of itself, and its end. */
import { expect } from "vitest";
import { hostTarget, targetName } from "../../../../src/packages/npm-target.ts";
import { collect, ref, specOf } from "../../helpers.ts";
import { lifeAt, never } from "../ground.ts";
import type { Cases } from "../suite.ts";

/** A spec that asks for everything that an engine may be unable to give. */
const greedy = specOf({
  limits: { cpu: "500m", mem: "64Mi" },
  requests: { cpu: "100m" },
  minReplicas: 3,
  maxReplicas: 5,
  scaledownAfter: 60,
  scalingMetric: { type: "concurrency", target: 10 },
  customDomain: "app.example.com",
  sharedMemory: "64Mi",
  accelerator: "gpu",
  clusterPool: "pool",
});

export const whole: Cases = {
  async "facts() says in words what it is and how it holds its promises"(on) {
    const text = expect.stringMatching(/./);
    expect(on.engine.facts()).toEqual({
      name: text,
      runtime: text,
      limits: { cpu: text, mem: text, tasks: text, storage: text },
      isolation: text,
      needsBase: expect.any(Boolean),
      platform: targetName(hostTarget()),
    });
  },

  async "check() finds no fault in a plain spec, and names each field that it cannot honour once"(on) {
    expect(on.engine.check(specOf())).toEqual([]);
    const faults = on.engine.check(greedy);
    const paths = faults.map(({ path }) => path);
    expect(paths.filter((path) => !(path in greedy))).toEqual([]);
    expect(new Set(paths).size).toBe(paths.length);
    for (const { path, message } of faults) expect(message).toContain(path);
  },

  async "warnings() has none for a plain spec, and is in words"(on) {
    expect(on.engine.warnings(specOf())).toEqual([]);
    for (const warning of on.engine.warnings(greedy)) expect(warning).toMatch(/./);
  },

  async "what it gives away is a copy: who changes it changes nothing"(on) {
    await on.serveNew("web-00001");
    const { replicas } = on;
    for (const replica of on.replicas) Object.assign(replica, { state: "BackOff", restarts: 9 });
    on.replicas.length = 0;
    expect(on.replicas).toEqual(replicas);
  },

  async "what it was given is its own: who changes that later changes nothing"(on) {
    const first = await on.revision("web-00001", {}, { env: { GREETING: "hello" } });
    const wanted = { ref, revisions: [first], traffic: first.name };
    const asked = structuredClone(wanted);
    await on.engine.apply(wanted);
    first.env["GREETING"] = "changed";
    wanted.revisions.length = 0;
    await on.conditions(first);
    expect(JSON.parse(await on.ask("/env"))).toMatchObject({ GREETING: "hello" });
    const { replicas } = on;
    await on.engine.apply(asked);
    expect(on.replicas).toEqual(replicas);
  },

  async "close() ends every app's replicas before it resolves"(on) {
    await on.serveNew("web-00001", { atTerm: "slowly" });
    const other = { ...ref, name: "other" };
    const revision = await on.revision("other-00001", {}, { env: { APPCTL_APP: "web" } });
    await on.engine.apply({ ref: other, revisions: [revision], traffic: revision.name });
    await collect(on.engine.observe(other, revision.name, never));
    const leases = [on.lease(), on.engine.lease(other)];
    for (const lease of leases) lease?.release();
    await on.engine.close();
    for (const lease of leases) expect(lease && (await lifeAt(lease))).toBeNull();
    expect(on.replicas).toEqual([]);
    expect(on.engine.replicas(other)).toEqual([]);
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
  },

  async "close() lets requests under way finish"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const held = await on.hold(on.lease());
    const closed = on.engine.close();
    expect(await held.finish("late")).toMatchObject({ body: "one: late" });
    await closed;
  },

  async "close() ends starts under way, and those who observe and follow"(on) {
    const first = await on.revision("web-00001", {
      start: "never listens",
      prints: [{ stream: "stdout", base64: btoa("starting\n") }],
    });
    await on.want(first);
    const observed = on.conditions(first);
    const followed = collect(on.engine.logs(ref, { follow: true, signal: never }));
    await on.textsUpTo("starting");
    await on.engine.close();
    expect((await observed).at(-1)).toMatchObject({ ready: "False", cause: { code: "SUPERSEDED" } });
    expect((await followed).map(({ line }) => line)).toEqual(["starting"]);
    expect(on.replicas).toEqual([]);
  },

  async "nothing starts any more once close() was called"(on) {
    const first = await on.serveNew("web-00001", { atTerm: "slowly" });
    const second = await on.revision("web-00002");
    const closed = on.engine.close();
    await on.want(second, first);
    await closed;
    await on.want(second);
    expect(on.replicas).toEqual([]);
    expect(on.serving).toBeNull();
  },

  async "close() can be called again, and at once"(on) {
    await on.serveNew("web-00001");
    await Promise.all([on.engine.close(), on.engine.close()]);
    await on.engine.close();
    expect(on.replicas).toEqual([]);
  },
};
