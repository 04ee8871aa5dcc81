/** How a container ends. */
import { expect } from "vitest";
import { ref, until } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";

export const ending: ContainerCases = {
  async "at SIGTERM, without a handler for it; not where the engine has no init program, as Podman may have none"(on) {
    await on.open();
    expect(await on.deploy(await on.program("(globalThis.life ??= Math.random())"))).toMatchObject({ ready: "True" });
    const before = await on.ask();
    const withoutInit = on.messages.some((message) => message.includes("no init program"));
    if (!on.isPodman) expect(withoutInit).toBe(false);
    await on.api.json("POST", `/containers/${(await on.container()).Id}/kill`, { query: { signal: "SIGTERM" } });
    if (withoutInit) {
      expect(await on.ask()).toBe(before);
      expect(on.engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
      // Its grace period ends it all the same.
      await on.engine.apply({ ref, revisions: [], traffic: null });
      await until(() => on.engine.replicas(ref).length === 0);
    } else {
      await on.restarted();
      expect(on.engine.replicas(ref)).toMatchObject([{ lastExit: "it exited with code 143" }]);
      expect(await on.ask()).not.toBe(before);
    }
  },

  async "by somebody's hand that starts it again, on another port: a new one takes its place"(on) {
    await on.open();
    expect(await on.deploy(await on.program("(globalThis.life ??= Math.random())"))).toMatchObject({ ready: "True" });
    const [before, { Id }] = [await on.ask(), await on.container()];
    await on.api.json("POST", `/containers/${Id}/restart`, { query: { t: 1 } });
    await on.restarted();
    expect(await on.ask()).not.toBe(before);
    expect((await on.container()).Id).not.toBe(Id);
  },
};
