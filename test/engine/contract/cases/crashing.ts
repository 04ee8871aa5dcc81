/** Replicas that end after they were ready. */
import { expect } from "vitest";
import { ref, until } from "../../helpers.ts";
import { ready } from "../ground.ts";
import type { Cases } from "../suite.ts";

export const crashing: Cases = {
  async "a crash is followed by a restart that is counted, with the words of the last end"(on) {
    await on.serveNew("web-00001", { answer: "up" });
    const life = await on.ask("/life");
    const name = on.replicas[0]?.name;
    await on.crashAndRestart(3);
    expect(on.replicas).toMatchObject([{ name, restarts: 1, lastExit: "it exited with code 3" }]);
    expect(on.engine.lastFailure(ref, "web-00001")).toMatchObject({ code: "EXITED", exitCode: 3 });
    expect(await on.ask()).toBe("up");
    expect(await on.ask("/life")).not.toBe(life);
  },

  async "an end with code 0 is a crash as well"(on) {
    await on.serveNew("web-00001");
    await on.crashAndRestart(0);
    expect(on.replicas).toMatchObject([{ lastExit: "it exited with code 0" }]);
  },

  async "every further crash is counted, too"(on) {
    await on.serveNew("web-00001");
    for (const restarts of [1, 2]) {
      await on.crashAndRestart(restarts);
      expect(on.replicas).toMatchObject([{ restarts, lastExit: `it exited with code ${restarts}` }]);
    }
  },

  async "the verdict of a revision that serves stays what it was"(on) {
    const first = await on.serveNew("web-00001");
    await on.crashAndRestart(3);
    expect(await on.conditions(first)).toEqual([ready(first)]);
    expect(on.serving).toBe("web-00001");
  },

  async "requests that a crash broke off do not hold up the end of the app"(on) {
    await on.serveNew("web-00001");
    const held = await on.hold(on.lease());
    await on.crashAndRestart(3);
    await held.broken;
    expect(await on.ask()).toBe("ok");
    await on.stop();
  },

  async "one that does not come up again is tried again with pauses, shown as BackOff, and serves when it comes up"(
    on,
  ) {
    const secret = on.secret("TOKEN", "token");
    const first = await on.serveNew("web-00001", {}, { secrets: [secret] });
    on.stage.secret(secret.id, secret.version, undefined);
    await on.crash(3);
    await until(() => on.replicas[0]?.state === "BackOff" && on.replicas[0].restarts > 0);
    expect(on.replicas).toMatchObject([{ revision: "web-00001", lastExit: expect.stringContaining("cannot be read") }]);
    expect(on.engine.lease(ref)).toBeNull();
    // The app is not stopped: who asks for it has to wait.
    expect(on.serving).toBe("web-00001");
    on.secret("TOKEN", "token");
    await until(() => on.replicas[0]?.state === "Ready");
    expect(on.replicas[0]?.restarts).toBeGreaterThan(1);
    expect(await on.ask()).toBe("ok");
    expect(await on.conditions(first)).toEqual([ready(first)]);
  },

  async "an app in a pause can be updated"(on) {
    const secret = on.secret("TOKEN", "token");
    const first = await on.serveNew("web-00001", {}, { secrets: [secret] });
    on.stage.secret(secret.id, secret.version, undefined);
    await on.crash(3);
    await until(() => on.replicas[0]?.state === "BackOff");
    const second = await on.revision("web-00002", { answer: "two" });
    await on.serve(second, first);
    await on.want(second);
    await on.settled("web-00002");
    expect(await on.ask()).toBe("two");
  },

  async "an app in a pause can be stopped"(on) {
    const secret = on.secret("TOKEN", "token");
    await on.serveNew("web-00001", {}, { secrets: [secret] });
    on.stage.secret(secret.id, secret.version, undefined);
    await on.crash(3);
    await until(() => on.replicas[0]?.state === "BackOff");
    await on.stop();
    expect(on.serving).toBeNull();
  },
};
