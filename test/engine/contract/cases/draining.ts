/** The end of replicas that have requests under way, and of those that do not want to end. */
import { once } from "node:events";
import { expect } from "vitest";
import { call, ref } from "../../helpers.ts";
import { lifeAt } from "../ground.ts";
import type { Cases } from "../suite.ts";

export const draining: Cases = {
  async "a request under way is finished by the old replica, which ends only then"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const held = await on.hold(on.lease());
    await on.serveNew("web-00002", { answer: "two" });
    expect(on.replicas).toMatchObject([
      { revision: "web-00002", state: "Ready" },
      { revision: "web-00001", state: "Draining" },
    ]);
    expect(await on.ask()).toBe("two");
    expect(await held.finish("late")).toMatchObject({ status: 200, body: "one: late" });
    await on.settled("web-00002");
  },

  async "a lease from before the switch is good after it"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const lease = on.lease();
    await on.serveNew("web-00002", { answer: "two" });
    expect(await call(lease)).toMatchObject({ body: "one" });
    await on.settled("web-00002");
  },

  async "every request under way is waited for, not only the first that ends"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const [first, second] = [await on.hold(on.lease()), await on.hold(on.lease())];
    await on.want();
    await first.finish("a");
    expect(on.replicas).toMatchObject([{ state: "Draining" }]);
    expect(await second.finish("b")).toMatchObject({ body: "one: b" });
    await on.settled();
  },

  async "a stopped app finishes what is under way, and takes nothing new"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const held = await on.hold(on.lease());
    await on.want();
    expect(on.serving).toBeNull();
    expect(on.engine.lease(ref)).toBeNull();
    expect(on.replicas).toMatchObject([{ revision: "web-00001", state: "Draining" }]);
    expect(await held.finish("late")).toMatchObject({ body: "one: late" });
    await on.settled();
  },

  async "a revision that is wanted again while it drains gets a new replica beside it"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const life = await on.ask("/life");
    const held = await on.hold(on.lease());
    await on.want();
    await on.serve(first);
    expect(on.replicas).toMatchObject([
      { revision: "web-00001", state: "Ready" },
      { revision: "web-00001", state: "Draining" },
    ]);
    expect(await on.ask("/life")).not.toBe(life);
    expect(await held.finish("late")).toMatchObject({ body: "one: late" });
    await on.settled("web-00001");
  },

  async "a WebSocket lives on at the old replica until it is closed"(on) {
    await on.serveNew("web-00001", { answer: "one" });
    const socket = await on.socket(on.lease());
    await on.serveNew("web-00002", { answer: "two" });
    socket.send("still there?");
    const [message] = await once(socket, "message");
    expect(String(message)).toBe("one: still there?");
    expect(on.replicas).toMatchObject([{ revision: "web-00002" }, { revision: "web-00001", state: "Draining" }]);
    socket.close();
    await on.settled("web-00002");
  },

  async "a request that does not end within the drain time is broken off"(on) {
    await on.reopen({ drainMs: 200 });
    await on.serveNew("web-00001");
    const held = await on.hold(on.lease());
    await on.want();
    await held.broken;
    await on.settled();
  },

  async "a program that takes its time at SIGTERM gets it, and its last words are kept"(on) {
    await on.serveNew("web-00001", { atTerm: "slowly" });
    await on.stop();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["ending", "ended"]);
  },

  async "a program that ignores SIGTERM is killed after its grace period"(on) {
    await on.serveNew("web-00001", { atTerm: "ignores it" });
    const lease = on.lease();
    lease.release();
    await on.stop();
    expect((await on.logs()).map(({ line }) => line)).toEqual(["SIGTERM is ignored"]);
    expect(await lifeAt(lease)).toBeNull();
  },

  async "a replica that ends while it drains is not started again"(on) {
    await on.serveNew("web-00001");
    const lease = on.lease();
    await on.serveNew("web-00002");
    await expect(call(lease, "/exit?code=3")).rejects.toThrow();
    await on.settled("web-00002");
    expect(on.replicas).toMatchObject([{ revision: "web-00002", restarts: 0 }]);
  },
};
