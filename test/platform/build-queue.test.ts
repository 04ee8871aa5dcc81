/** Who shares a task, who waits, and when one is given up; the tasks themselves are those of `remote-builds.test.ts`. */
import { expect, it } from "vitest";
import type { BuildRequest } from "../../src/contract/types.ts";
import { resolvePackages } from "../../src/platform/api/builds.ts";
import type { ApiRequest } from "../../src/platform/api/context.ts";
import { Builds } from "../../src/platform/builds/build-queue.ts";
import type { BuildTask, FinalEvent, TaskEvent } from "../../src/platform/builds/task.ts";

/** A task that ends when it is told to. */
interface Held {
  task: BuildTask;
  signal: AbortSignal;
  onEvent(event: TaskEvent): void;
  end(event: FinalEvent): void;
  /** Lets a task that was given up come to its end. */
  clear(): void;
}

function setUp(limit = 2, { slowly = false, mostHeld = 100_000 } = {}) {
  const held: Held[] = [];
  const reports: string[] = [];
  const builds = new Builds({
    run: (task, { signal, onEvent }) =>
      new Promise((resolve, reject) => {
        const clear = () => reject(signal.reason);
        held.push({ task, signal, onEvent, end: resolve, clear });
        if (!slowly) signal.addEventListener("abort", clear);
      }),
    known: async (task) => (task.type === "resolve" && task.request.packages.length === 0 ? found("known") : undefined),
    report: (message) => reports.push(message),
    limit,
    mostHeld,
  });
  return { builds, held, reports };
}

const build = (name: string, more: Partial<BuildRequest> = {}): BuildTask => ({
  type: "build",
  request: { name, packages: [], env: {}, copy: [], ...more },
});
const found = (reference: string) => ({ type: "found", reference }) as FinalEvent;
const progress = (message: string): TaskEvent => ({ type: "progress", step: "install", message });

/** Follows a task from now on. */
function follow(builds: Builds, task: BuildTask) {
  const leave = new AbortController();
  const seen: TaskEvent[] = [];
  const done = (async () => {
    for await (const event of builds.follow(task, leave.signal)) seen.push(event);
  })();
  return { seen, done, leave: () => leave.abort() };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

it("equal requests share one task, and who comes later sees where it is", async () => {
  const { builds, held } = setUp();
  const first = follow(builds, build("a"));
  await settle();
  held[0]?.onEvent(progress("one"));
  held[0]?.onEvent(progress("two"));
  const second = follow(builds, build("a"));
  await settle();
  held[0]?.onEvent(progress("three"));
  held[0]?.end(found("a:1"));
  await Promise.all([first.done, second.done]);
  expect(held).toHaveLength(1);
  expect(first.seen).toEqual([progress("one"), progress("two"), progress("three"), found("a:1")]);
  expect(second.seen).toEqual([progress("two"), progress("three"), found("a:1")]);
  // What is done is not shared any more.
  const third = follow(builds, build("a"));
  await settle();
  expect(held).toHaveLength(2);
  held[1]?.end(found("a:1"));
  await third.done;
});

it("a task goes on while one waits for it, and is given up with the last", async () => {
  const { builds, held } = setUp();
  const [first, second] = [follow(builds, build("a")), follow(builds, build("a"))];
  await settle();
  first.leave();
  await first.done;
  expect(held[0]?.signal.aborted).toBe(false);
  second.leave();
  await second.done;
  expect(held[0]?.signal.aborted).toBe(true);
});

it("one that was given up is not joined: the next is a task of its own, after the end of that", async () => {
  const { builds, held } = setUp(2, { slowly: true });
  const first = follow(builds, build("a"));
  await settle();
  first.leave();
  await first.done;
  const second = follow(builds, build("a"));
  await settle();
  expect([held.length, held[0]?.signal.aborted]).toEqual([1, true]);
  held[0]?.clear();
  await settle();
  expect(held).toHaveLength(2);
  held[1]?.end(found("a:1"));
  await second.done;
  expect(second.seen.at(-1)).toEqual(found("a:1"));
});

it("images of one name are made one after another: they may come to the same", async () => {
  const { builds, held } = setUp();
  const [first, second] = [follow(builds, build("a")), follow(builds, build("a", { packages: ["x"] }))];
  await settle();
  expect(held).toHaveLength(1);
  expect(second.seen).toEqual([expect.objectContaining({ message: "waiting for another build of a" })]);
  held[0]?.end(found("a:1"));
  await first.done;
  await settle();
  expect(held).toHaveLength(2);
  held[1]?.end(found("a:1"));
  await second.done;
});

it("only so many run at once; who waits is told, and may leave", async () => {
  const { builds, held } = setUp(1);
  const [first, second, third] = ["a", "b", "c"].map((name) => follow(builds, build(name)));
  await settle();
  expect(held).toHaveLength(1);
  expect(third?.seen).toEqual([expect.objectContaining({ message: "waiting for other builds to end" })]);
  second?.leave();
  await second?.done;
  held[0]?.end(found("a:1"));
  await first?.done;
  await settle();
  expect(held.map(({ task }) => (task.request as BuildRequest).name)).toEqual(["a", "c"]);
  held[1]?.end(found("c:1"));
  await third?.done;
});

it("what is known already waits for nobody", async () => {
  const { builds, held } = setUp(1);
  const resolve = (...packages: string[]): BuildTask => ({ type: "resolve", request: { packages } });
  const first = follow(builds, resolve("slow"));
  const known = follow(builds, resolve());
  await known.done;
  expect([known.seen, held.length]).toEqual([[found("known")], 1]);
  held[0]?.end(found("slow"));
  await first.done;
});

it("a platform that stops gives up all, and says so to those who wait", async () => {
  const { builds, held, reports } = setUp(1);
  const [first, second] = [follow(builds, build("a")), follow(builds, build("b"))];
  await settle();
  await builds.close();
  await Promise.all([first.done, second.done]);
  expect(held[0]?.signal.aborted).toBe(true);
  for (const { seen } of [first, second])
    expect(seen.at(-1)).toMatchObject({ type: "failed", code: "BUILD_INTERRUPTED", exit: 6 });
  const late = follow(builds, build("c"));
  await late.done;
  expect(late.seen).toEqual([expect.objectContaining({ type: "failed" })]);
  expect([held.length, reports]).toEqual([1, []]);
});

it("a task is given up when a client that reads slowly goes between two lines", async () => {
  const { builds, held } = setUp();
  const url = "http://platform.test/api/v1/images/resolutions";
  const headers = { "content-type": "application/json" };
  const request = new Request(url, { method: "POST", headers, body: JSON.stringify({ packages: ["a"] }) });
  const response = await resolvePackages({ request, services: { builds } } as unknown as ApiRequest);
  await settle();
  held[0]?.onEvent(progress("one"));
  await settle();
  // One line waits to be read, and the next was not asked for.
  await response.body?.cancel();
  expect(held[0]?.signal.aborted).toBe(true);
});

it("what waits has an end: more than there is room for is told to come again, and the same is still shared", async () => {
  const { builds, held } = setUp(1, { mostHeld: 1000 });
  const large = (name: string) => build(name, { env: { X: "x".repeat(400) } });
  const there = [follow(builds, large("a")), follow(builds, large("b"))];
  await settle();
  const more = follow(builds, large("c"));
  await more.done;
  expect(more.seen).toMatchObject([{ type: "failed", code: "TOO_MANY_BUILDS", exit: 6 }]);
  there.push(follow(builds, large("b")));
  await settle();
  held[0]?.end(found("a:1"));
  await there[0]?.done;
  await settle();
  there.push(follow(builds, large("c")));
  await settle();
  held[1]?.end(found("b:1"));
  await settle();
  held[2]?.end(found("c:1"));
  await Promise.all(there.map(({ done }) => done));
  expect(there.map(({ seen }) => seen.at(-1))).toEqual(["a:1", "b:1", "b:1", "c:1"].map(found));
});
