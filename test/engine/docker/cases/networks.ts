/** The network that a project's containers are in. */
import { expect } from "vitest";
import { ref, until } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";

export const networks: ContainerCases = {
  async "it starts again when its project's network was removed as one that nothing uses"(on) {
    expect(await on.answerOf('"first"')).toBe("first");
    const platform = await on.platform();
    await on.engine.apply({ ref, revisions: [], traffic: null });
    await until(() => on.engine.replicas(ref).length === 0);
    await on.api.json("POST", "/networks/prune");
    expect(await on.networksOf(platform)).toEqual([]);
    expect(await on.deploy(await on.program('"second"', {}, "web-00002"))).toMatchObject({ ready: "True" });
    expect(await on.ask()).toBe("second");
    expect(await on.networksOf(platform)).toHaveLength(on.networks ? 1 : 0);
  },
};
