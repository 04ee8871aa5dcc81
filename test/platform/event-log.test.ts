import { expect, it } from "vitest";
import { EventLog } from "../../src/platform/apps/event-log.ts";
import { AppStore } from "../../src/platform/store/app-store.ts";
import { Database } from "../../src/platform/store/database.ts";

const ref = { project: "default", domain: "development", name: "web" };
const never = new AbortController().signal;
const status = (message: string) => ({ type: "status", phase: "Pending", reason: "", message }) as const;

function setUp() {
  const store = new AppStore(new Database(":memory:"), () => new Date());
  const app = store.create(ref, "calm-sea-00000");
  return { store, log: new EventLog(store), deployment: store.createDeployment(app, "web-00001", false, undefined) };
}

it("numbers events without gaps and gives those after a cursor", async () => {
  const { log, deployment } = setUp();
  log.append(deployment, [status("one"), status("two")]);
  log.append(deployment, [status("three")]);
  const events = await log.read(deployment, 1, 0, never);
  expect(events.map((event) => event.seq)).toEqual([2, 3]);
  expect(events[1]).toMatchObject({ v: 1, type: "status", message: "three" });
});

it("wakes everybody who waits for the next event, and nobody for another deployment's", async () => {
  const { store, log, deployment } = setUp();
  const app = store.byId(deployment.appId);
  const other = store.createDeployment(app as NonNullable<typeof app>, "web-00002", false, undefined);
  const waiting = Array.from({ length: 50 }, () => log.read(deployment, 0, 60_000, never));
  let otherDone = false;
  const aborter = new AbortController();
  const elsewhere = log.read(other, 0, 60_000, aborter.signal).finally(() => {
    otherDone = true;
  });
  log.append(deployment, [status("now")]);
  for (const events of await Promise.all(waiting)) expect(events.map((event) => event.seq)).toEqual([1]);
  expect(otherDone).toBe(false);
  aborter.abort();
  expect(await elsewhere).toEqual([]);
});

it("does not wait for a deployment that has its verdict", async () => {
  const { store, log, deployment } = setUp();
  log.append(deployment, [status("one")], () => store.closeDeployment(deployment, "succeeded"));
  expect(await log.read(deployment, 1, 60_000, never)).toEqual([]);
});

it("writes events and the change that they tell of together, or neither", async () => {
  const { store, log, deployment } = setUp();
  expect(() =>
    log.append(deployment, [status("lost")], () => {
      store.closeDeployment(deployment, "failed");
      throw new Error("disk full");
    }),
  ).toThrow("disk full");
  expect(store.deployment(deployment.appId, deployment.id)?.state).toBe("open");
  expect(await log.read(deployment, 0, 0, never)).toEqual([]);
});
