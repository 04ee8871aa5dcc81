/** The network that a project's containers are in. */
import { expect } from "vitest";
import { call, collect, ref, until } from "../../helpers.ts";
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

  async "it is not reached from another project, whatever the engine's networks do by themselves"(on) {
    const body = `new URL(req.url, "http://x").searchParams.get("url")
      ? fetch(new URL(req.url, "http://x").searchParams.get("url"), { signal: AbortSignal.timeout(1500) }).then((r) => r.text(), (error) => error.name)
      : "up"`;
    expect(await on.answerOf(body)).toBe("up");
    const url = await on.addressInside();
    if (!on.networks) return expect(url).toBeUndefined();
    // The address is the right one.
    expect(await on.ask(`/?url=${url}`)).toBe("up");
    const other = { ...ref, project: "other" };
    const revision = await on.program(body);
    await on.engine.apply({ ref: other, revisions: [revision], traffic: revision.name });
    await collect(on.engine.observe(other, revision.name, new AbortController().signal));
    // Its own network works.
    expect((await call(on.engine.lease(other), `/?url=${await on.addressInside("other")}`)).body).toBe("up");
    expect((await call(on.engine.lease(other), `/?url=${url}`)).body).toBe("TimeoutError");
  },
};
