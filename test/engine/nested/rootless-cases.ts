/** What a container is held to where the engine and the platform are a user's who is not root. */
import { expect, it } from "vitest";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { holdBuilder } from "../docker/builder-cases.ts";
import { AREAS_OF_USERS, holdContainers } from "../docker/container-cases.ts";
import { ContainerGround } from "../docker/container-ground.ts";
import { specOf } from "../helpers.ts";

/** Runs the cases on the engine of a ground. */
export function holdRootless(name: string, ground: () => DockerGround): void {
  holdContainers(name, { networks: true, only: AREAS_OF_USERS }, ground);
  holdBuilder(name, ground);

  it(`a limit of a container of ${name} is kept, or said not to be`, async () => {
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
}
