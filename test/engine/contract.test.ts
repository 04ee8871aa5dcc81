/** What every engine must hold: run on the engine `local` and on the fake, so that the fake cannot drift away. */
import { createServer } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Engine, RunnableRevision } from "../../src/engine/engine.ts";
import { FakeEngine, fails, succeeds } from "./fake-engine.ts";
import { call, collect, fetchApp, ref, revisionOf, startEngine, until } from "./helpers.ts";

interface Subject {
  engine: Engine;
  good(name: string): Promise<RunnableRevision>;
  bad(name: string): Promise<RunnableRevision>;
}

const subjects: Record<string, () => Promise<Subject>> = {
  async local() {
    const { engine, revision } = await startEngine();
    return {
      engine,
      good: (name) => revision(name, { app: fetchApp('console.log("asked"); return new Response("ok");') }),
      bad: (name) => revision(name, { app: fetchApp("return new Response();", "process.exit(4);") }),
    };
  },
  async fake() {
    const server = createServer((_, res) => res.end("ok")).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const failing = fails({ code: "EXITED", message: "it exited with code 4 before it listened" });
    const engine = new FakeEngine({
      address: { host: "127.0.0.1", port },
      script: (wanted, name) => (name.endsWith("-bad") ? failing : succeeds)(wanted, name),
    });
    return {
      engine,
      good: async (name) => revisionOf(name, "d"),
      bad: async (name) => revisionOf(`${name}-bad`, "d"),
    };
  },
};

const never = new AbortController().signal;
const verdict = async (engine: Engine, revision: RunnableRevision, others: RunnableRevision[] = []) => {
  await engine.apply({ ref, revisions: [revision, ...others], traffic: revision.name });
  return (await collect(engine.observe(ref, revision.name, never))).at(-1);
};

describe.each(Object.entries(subjects))("the engine %s", (_, subject) => {
  it("serves what is ready, and stays as it is when the same is wanted again", async () => {
    const { engine, good } = await subject();
    expect(engine.serving(ref)).toBeNull();
    expect(engine.lease(ref)).toBeNull();
    const first = await good("web-00001");
    expect(await verdict(engine, first)).toEqual({ revision: "web-00001", ready: "True", reason: "", message: "" });
    expect(engine.serving(ref)).toBe("web-00001");
    expect(await call(engine.lease(ref))).toMatchObject({ body: "ok" });
    const replicas = engine.replicas(ref);
    expect(replicas).toMatchObject([{ revision: "web-00001", state: "Ready", restarts: 0 }]);
    expect(await verdict(engine, first)).toMatchObject({ ready: "True" });
    expect(engine.replicas(ref)).toEqual(replicas);
  });

  it("moves traffic only to what is ready", async () => {
    const { engine, good, bad } = await subject();
    const first = await good("web-00001");
    await verdict(engine, first);
    expect(await verdict(engine, await bad("web-00002"), [first])).toMatchObject({
      ready: "False",
      reason: "RevisionFailed",
      cause: { code: "EXITED" },
    });
    expect(engine.serving(ref)).toBe("web-00001");
    const third = await good("web-00003");
    expect(await verdict(engine, third, [first])).toMatchObject({ ready: "True" });
    expect(engine.serving(ref)).toBe("web-00003");
    // and back
    expect(await verdict(engine, first, [third])).toMatchObject({ ready: "True" });
    expect(engine.serving(ref)).toBe("web-00001");
  });

  it("stops, starts again and deletes", async () => {
    const { engine, good } = await subject();
    const first = await good("web-00001");
    await verdict(engine, first);
    await engine.apply({ ref, revisions: [], traffic: null });
    expect(engine.serving(ref)).toBeNull();
    expect(engine.lease(ref)).toBeNull();
    await until(() => engine.replicas(ref).length === 0);
    expect(await verdict(engine, first)).toMatchObject({ ready: "True" });
    await engine.delete(ref);
    expect(engine.serving(ref)).toBeNull();
    expect(engine.replicas(ref)).toEqual([]);
    expect(await collect(engine.logs(ref, { follow: false, signal: never }))).toEqual([]);
  });

  it("ends observing and following with the signal", async () => {
    const { engine } = await subject();
    const aborter = new AbortController();
    const ended = Promise.all([
      collect(engine.observe(ref, "web-00001", aborter.signal)),
      collect(engine.logs(ref, { follow: true, signal: aborter.signal })),
    ]);
    aborter.abort();
    expect((await ended)[1]).toEqual([]);
  });
});
