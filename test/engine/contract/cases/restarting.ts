/** A platform that ends, gracefully or killed, and an engine that is started on what it left. */
import { expect } from "vitest";
import { collect, ref, until } from "../../helpers.ts";
import { lifeAt, never, ready } from "../ground.ts";
import type { Cases } from "../suite.ts";

const prints = (text: string) => [{ stream: "stdout", base64: btoa(`${text}\n`) } as const];

export const restarting: Cases = {
  async "after a close the same state is served again, as a first deploy"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const life = await on.ask("/life");
    await on.reopen();
    expect(on.serving).toBeNull();
    expect(on.replicas).toEqual([]);
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "IngressNotConfigured", ""]);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Ready", restarts: 0 }]);
    expect(await on.ask()).toBe("one");
    expect(await on.ask("/life")).not.toBe(life);
  },

  async "the log goes on where it ended"(on) {
    const first = await on.serveNew("web-00001", { prints: prints("a life") });
    await on.textsUpTo("a life");
    await on.reopen();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["a life"]);
    await on.serve(first);
    await on.stop();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["a life", "a life"]);
  },

  async "after a kill the same state is served again, by one replica"(on) {
    const first = await on.revision("web-00001", { answer: "one" });
    await on.engine.close();
    const doomed = await on.stage.doomedPlatform({ ref, revisions: [first], traffic: first.name });
    expect(await lifeAt(doomed.lease)).toBeTypeOf("string");
    await doomed.kill();
    on.engine = await on.stage.open();
    await on.serve(first);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Ready" }]);
    expect(await on.ask()).toBe("one");
  },

  async "what a killed platform left and nobody wants does not go on"(on) {
    const first = await on.revision("web-00001");
    await on.engine.close();
    const doomed = await on.stage.doomedPlatform({ ref, revisions: [first], traffic: first.name });
    await doomed.kill();
    on.engine = await on.stage.open();
    await on.stop();
    expect(await lifeAt(doomed.lease)).toBeNull();
  },

  async "the log of a killed platform is kept"(on) {
    const first = await on.revision("web-00001", { prints: prints("a life") });
    await on.engine.close();
    const doomed = await on.stage.doomedPlatform({ ref, revisions: [first], traffic: first.name });
    await doomed.logged("a life");
    await doomed.kill();
    on.engine = await on.stage.open();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["a life"]);
    await on.serve(first);
    await on.stop();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["a life", "a life"]);
  },

  async "a revision that served before is reported as failed when it does not come up, and tried until it does"(on) {
    const secret = on.secret("TOKEN", "token");
    const first = await on.serveNew("web-00001", {}, { secrets: [secret] });
    await on.engine.close();
    on.stage.secret(secret.id, secret.version, undefined);
    on.engine = await on.stage.open();
    expect((await on.deploy(first)).at(-1)).toMatchObject({ ready: "False", cause: { code: "SECRET_UNREADABLE" } });
    await until(() => on.replicas[0]?.state === "BackOff");
    expect(on.serving).toBeNull();
    on.secret("TOKEN", "token");
    await until(() => on.serving);
    expect(await on.ask()).toBe("ok");
    expect(await on.conditions(first)).toEqual([ready(first)]);
  },

  async "it counts as one that served after a kill, too"(on) {
    // Its port is free and its program good: only the state can say that it had served.
    const first = await on.revision("web-00001");
    await on.engine.close();
    const doomed = await on.stage.doomedPlatform({ ref, revisions: [first], traffic: first.name });
    await doomed.kill();
    on.engine = await on.stage.open();
    const secret = on.secret("TOKEN", "token");
    on.stage.secret(secret.id, secret.version, undefined);
    await on.want({ ...first, secrets: [secret] });
    await until(() => on.replicas[0]?.state === "BackOff");
    on.secret("TOKEN", "token");
    await until(() => on.serving);
  },

  async "a revision that never served fails again at its first crash"(on) {
    const first = await on.revision("web-00001", { start: 7 });
    await on.deploy(first);
    await on.reopen();
    const conditions = await on.deploy(first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "RevisionFailed"]);
    expect(on.replicas).toEqual([]);
  },

  async "an update that was under way is taken up again, both revisions wanted"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const second = await on.revision("web-00002", { answer: "two" });
    await on.want(second, first);
    await on.reopen();
    await on.serve(second, first);
    await on.settled("web-00002", "web-00001");
    expect(await on.ask()).toBe("two");
    await on.serve(first, second);
    expect(await on.ask()).toBe("one");
  },

  async "what was deleted before the end is not there after it"(on) {
    await on.serveNew("web-00001", { prints: prints("a life") });
    await on.textsUpTo("a life");
    await on.engine.delete(ref);
    await on.reopen();
    expect(await collect(on.engine.logs(ref, { follow: false, signal: never }))).toEqual([]);
    expect(on.serving).toBeNull();
  },
};
