import { describe, expect, it } from "vitest";
import type { Condition } from "../../src/engine/engine.ts";
import { call, collect, fetchApp, ref, startEngine, until } from "./helpers.ts";

const short = ({ ready, reason, message }: Condition) => `${ready} ${reason}: ${message}`;

describe("a deploy", () => {
  it("goes through Knative's conditions and answers", async () => {
    const { engine, revision, deploy } = await startEngine();
    const first = await revision("web-00001", { app: fetchApp('return new Response("one");') });
    const conditions = await deploy(first);
    expect(conditions.map(short)).toEqual([
      'Unknown RevisionMissing: Configuration "web" is waiting for a Revision to become ready.',
      "Unknown IngressNotConfigured: Ingress has not yet been reconciled.",
      "True : ",
    ]);
    expect(engine.serving(ref)).toBe("web-00001");
    expect(await call(engine.lease(ref))).toMatchObject({ status: 200, body: "one" });
    expect(engine.replicas(ref)).toMatchObject([
      { revision: "web-00001", state: "Ready", restarts: 0, lastExit: null },
    ]);

    const second = await revision("web-00002", { app: fetchApp('return new Response("two");') });
    const update = await deploy(second);
    expect(update.map(short)).toEqual([
      "Unknown TrafficNotMigrated: Traffic is not yet migrated to the latest revision.",
      "Unknown IngressNotConfigured: Ingress has not yet been reconciled.",
      "True : ",
    ]);
    expect(await call(engine.lease(ref))).toMatchObject({ status: 200, body: "two" });
    await until(() => engine.replicas(ref).length === 1);
    expect(engine.replicas(ref)[0]?.revision).toBe("web-00002");
  });

  it("stands still at each step while the step does", async () => {
    const open = new Map<string, () => void>();
    const beforeStep = (step: string) => new Promise<void>((resolve) => open.set(step, resolve));
    const { engine, revision } = await startEngine({ beforeStep });
    const first = await revision("web-00001", { app: fetchApp('return new Response("one");') });
    await engine.apply({ ref, revisions: [first], traffic: first.name });
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { reason, ready } of engine.observe(ref, first.name, new AbortController().signal)) {
        seen.push(reason || ready);
      }
    })();

    await until(() => open.has("prepare") && seen.length > 0);
    expect(engine.replicas(ref)).toMatchObject([{ state: "Starting", pid: null }]);
    expect(seen).toEqual(["RevisionMissing"]);
    open.get("prepare")?.();

    await until(() => open.has("ready"));
    expect(engine.replicas(ref)[0]?.pid).toBeTypeOf("number");
    expect(seen).toEqual(["RevisionMissing"]);
    expect(engine.lease(ref)).toBeNull();
    open.get("ready")?.();

    await until(() => open.has("route") && seen.length > 1);
    expect(seen).toEqual(["RevisionMissing", "IngressNotConfigured"]);
    expect(engine.lease(ref)).toBeNull();
    expect(engine.serving(ref)).toBeNull();
    open.get("route")?.();

    await watching;
    expect(seen).toEqual(["RevisionMissing", "IngressNotConfigured", "True"]);
    expect(await call(engine.lease(ref))).toMatchObject({ body: "one" });
  });

  it("changes nothing when the same state is wanted twice", async () => {
    const { engine, revision, deploy } = await startEngine();
    const first = await revision("web-00001", { app: fetchApp("return new Response(String(process.pid));") });
    await deploy(first);
    const before = engine.replicas(ref);
    expect((await deploy(structuredClone(first))).map(({ ready }) => ready)).toEqual(["True"]);
    expect(engine.replicas(ref)).toEqual(before);
  });

  it("starts and routes a rollback's revision again", async () => {
    const { engine, revision, deploy } = await startEngine();
    const first = await revision("web-00001", { app: fetchApp('return new Response("one");') });
    await deploy(first);
    await deploy(await revision("web-00002", { app: fetchApp('return new Response("two");') }));
    expect((await deploy(first)).at(-1)?.ready).toBe("True");
    expect(await call(engine.lease(ref))).toMatchObject({ body: "one" });
  });

  it("tells who watches a revision that is taken back", async () => {
    const { engine, revision } = await startEngine();
    const first = await revision("web-00001", {
      app: fetchApp('return new Response("one");', "await new Promise(() => setInterval(() => {}, 1000));"),
    });
    await engine.apply({ ref, revisions: [first], traffic: first.name });
    const watching = collect(engine.observe(ref, first.name, new AbortController().signal));
    await until(() => engine.replicas(ref)[0]?.pid);
    const second = await revision("web-00002", { app: fetchApp('return new Response("two");') });
    await engine.apply({ ref, revisions: [second], traffic: second.name });
    expect((await watching).at(-1)).toMatchObject({
      ready: "False",
      reason: "RevisionDeleted",
      cause: { code: "SUPERSEDED" },
    });
    await collect(engine.observe(ref, second.name, new AbortController().signal));
    expect(await call(engine.lease(ref))).toMatchObject({ body: "two" });
    await until(() => engine.replicas(ref).length === 1);
  });

  it("stops an app and starts it again", async () => {
    const { engine, revision, deploy } = await startEngine();
    const first = await revision("web-00001", { app: fetchApp('return new Response("one");') });
    await deploy(first);
    await engine.apply({ ref, revisions: [], traffic: null });
    expect(engine.lease(ref)).toBeNull();
    expect(engine.serving(ref)).toBeNull();
    await until(() => engine.replicas(ref).length === 0);
    expect((await deploy(first)).map(({ reason, ready }) => reason || ready)).toEqual([
      "RevisionMissing",
      "IngressNotConfigured",
      "True",
    ]);
  });

  it("says of a revision that nobody applied that it is not looked at yet", async () => {
    const { engine } = await startEngine();
    const aborter = new AbortController();
    for await (const condition of engine.observe(ref, "web-00009", aborter.signal)) {
      expect(condition).toMatchObject({ ready: "Unknown", reason: "OutOfDate" });
      aborter.abort();
    }
  });

  it("keeps the old revision serving when the new one fails", async () => {
    const { engine, revision, deploy } = await startEngine();
    await deploy(await revision("web-00001", { app: fetchApp('return new Response("one");') }));
    const bad = await revision("web-00002", { app: fetchApp("return new Response();", 'throw new Error("no good");') });
    expect((await deploy(bad)).at(-1)).toMatchObject({
      ready: "False",
      reason: "RevisionFailed",
      message: 'Revision "web-00002" failed with message: Error: no good.',
      cause: { code: "APP_THREW" },
    });
    expect(engine.serving(ref)).toBe("web-00001");
    expect(await call(engine.lease(ref))).toMatchObject({ body: "one" });
    // who asks late learns the same
    const late = await collect(engine.observe(ref, "web-00002", new AbortController().signal));
    expect(late).toMatchObject([{ ready: "False", cause: { code: "APP_THREW" } }]);
  });
});
