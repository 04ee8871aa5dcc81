/** What a container is held to where Podman and the platform are a user's who is not root. See `podman.contract.ts`. */
import { expect, it } from "vitest";
import { EngineApi } from "../../../src/core/engine-api.ts";
import { holdBuilder } from "../docker/builder-cases.ts";
import { AREAS_OF_USERS, holdContainers } from "../docker/container-cases.ts";
import { ContainerGround } from "../docker/container-ground.ts";
import { specOf } from "../helpers.ts";
import { podmanGround } from "./ground.ts";

const ground = podmanGround("netavark");

holdContainers("rootless Podman", { networks: true, only: AREAS_OF_USERS }, ground);
holdBuilder("rootless Podman", ground);

it("a limit of a container of rootless Podman is kept, or said not to be", async () => {
  const { env } = ground();
  const api = await EngineApi.connect((env["DOCKER_HOST"] ?? "").replace("unix://", ""));
  try {
    const on = new ContainerGround(ground(), api, true);
    const spec = { limits: { mem: "256Mi" } };
    const known = await on.answerOf("process.constrainedMemory()", { spec });
    const isKept = known === String(256 * 1024 ** 2);
    expect(on.engine.facts().limits.mem).toMatch(isKept ? /^hard/ : /^none/);
    expect(on.engine.warnings(specOf(spec))).toHaveLength(isKept ? 0 : 1);
  } finally {
    api.close();
  }
});
