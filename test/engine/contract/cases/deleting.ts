/** The end of an app, and a new one of its name. */
import { expect } from "vitest";
import { collect, ref } from "../../helpers.ts";
import { lifeAt, never, ready } from "../ground.ts";
import type { Cases } from "../suite.ts";
import { revisionDeleted } from "../words.ts";

export const deleting: Cases = {
  async "nothing of a deleted app is left when delete resolves"(on) {
    await on.serveNew("web-00001", { prints: [{ stream: "stdout", base64: btoa("a life\n") }] });
    await on.textsUpTo("a life");
    const lease = on.lease();
    lease.release();
    await on.engine.delete(ref);
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
    expect(on.replicas).toEqual([]);
    expect(await on.logs()).toEqual([]);
    expect(await lifeAt(lease)).toBeNull();
  },

  async "a delete of what never was, and a second delete, do no harm"(on) {
    await on.engine.delete(ref);
    await on.serveNew("web-00001");
    await Promise.all([on.engine.delete(ref), on.engine.delete(ref)]);
    await on.engine.delete(ref);
    expect(on.replicas).toEqual([]);
  },

  async "a delete during a start takes the revision back, and says so to who observes it"(on) {
    const first = await on.revision("web-00001", { start: "never listens" });
    await on.want(first);
    const observed = on.conditions(first);
    await on.engine.delete(ref);
    expect((await observed).at(-1)).toEqual({ revision: "web-00001", ...revisionDeleted("web-00001") });
    expect(on.replicas).toEqual([]);
  },

  async "a new app of the name starts from the beginning, with the old one's revision names"(on) {
    await on.serveNew("web-00001", { answer: "old", prints: [{ stream: "stdout", base64: btoa("old\n") }] });
    await on.engine.delete(ref);
    const prints = [{ stream: "stdout", base64: btoa("new\n") } as const];
    const first = await on.revision("web-00001", { answer: "new", prints });
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
    expect(await on.ask()).toBe("new");
    expect(await on.textsUpTo("new")).toEqual(["new"]);
  },

  async "a state that is wanted while a delete is under way is the new app's"(on) {
    await on.serveNew("web-00001", { answer: "old", atTerm: "slowly" });
    const deleted = on.engine.delete(ref);
    const first = await on.revision("web-00001", { answer: "new" });
    await on.serve(first);
    await deleted;
    expect(on.serving).toBe("web-00001");
    expect(await on.ask()).toBe("new");
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Ready" }]);
  },

  async "of deletes and states in one breath the last one holds"(on) {
    const first = await on.revision("web-00001", { answer: "one" });
    const second = await on.revision("web-00002", {
      answer: "two",
      prints: [{ stream: "stdout", base64: btoa("x\n") }],
    });
    await on.serve(first);
    const lease = on.lease();
    lease.release();
    await Promise.all([on.engine.delete(ref), on.want(second), on.engine.delete(ref)]);
    expect(on.serving).toBeNull();
    expect(on.replicas).toEqual([]);
    expect(await on.logs()).toEqual([]);
    expect(await lifeAt(lease)).toBeNull();
    await Promise.all([on.want(first), on.engine.delete(ref), on.want(second)]);
    expect((await on.conditions(second)).at(-1)).toEqual(ready(second));
    expect(on.replicas.map(({ revision }) => revision)).toEqual(["web-00002"]);
    expect(await on.ask()).toBe("two");
  },

  async "a delete right after a state that was not waited for leaves nothing running"(on) {
    const first = await on.revision("web-00001");
    const applied = on.want(first);
    const observed = on.conditions(first);
    await on.engine.delete(ref);
    await applied;
    expect((await observed).at(-1)).toEqual({ revision: "web-00001", ...revisionDeleted("web-00001") });
    expect(on.replicas).toEqual([]);
  },

  async "a delete does not wait for requests under way"(on) {
    await on.serveNew("web-00001", { atTerm: "ignores it" });
    const held = await on.hold(on.lease());
    await on.engine.delete(ref);
    await held.broken;
    expect(on.replicas).toEqual([]);
  },

  async "a delete cuts the drain of a stop short"(on) {
    await on.serveNew("web-00001", { atTerm: "ignores it" });
    const held = await on.hold(on.lease());
    await on.want();
    expect(on.replicas).toMatchObject([{ state: "Draining" }]);
    await on.engine.delete(ref);
    await held.broken;
    expect(on.replicas).toEqual([]);
  },

  async "a delete ends those who follow the log"(on) {
    await on.serveNew("web-00001", { prints: [{ stream: "stdout", base64: btoa("a life\n") }] });
    const followed = collect(on.engine.logs(ref, { follow: true, signal: never }));
    await on.textsUpTo("a life");
    await on.engine.delete(ref);
    expect((await followed).map(({ line }) => line)).toEqual(["a life"]);
  },

  async "what served before the delete counts no more: a new revision of its name fails at once"(on) {
    const secret = on.secret("TOKEN", "token");
    await on.serveNew("web-00001", {}, { secrets: [secret] });
    await on.engine.delete(ref);
    on.stage.secret(secret.id, secret.version, undefined);
    const first = await on.revision("web-00001", {}, { secrets: [secret] });
    expect((await on.deploy(first)).at(-1)).toMatchObject({ ready: "False", cause: { code: "SECRET_UNREADABLE" } });
    expect(on.replicas).toEqual([]);
  },
};
