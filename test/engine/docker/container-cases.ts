/**
 * What a replica is held to that is a container, beyond the contract of every engine. The same cases run on Docker and on
 * Podman; where Podman does something else, the case says so, and asserts that.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { appFiles } from "./cases/app-files.ts";
import { confinement } from "./cases/confinement.ts";
import { ending } from "./cases/ending.ts";
import { images } from "./cases/images.ts";
import { leftovers } from "./cases/leftovers.ts";
import { limits } from "./cases/limits.ts";
import { networks as projectNetworks } from "./cases/networks.ts";
import { oldImages } from "./cases/old-images.ts";
import { output } from "./cases/output.ts";
import { secrets } from "./cases/secrets.ts";
import { ContainerGround } from "./container-ground.ts";

/** Cases of one area, by name. */
export type ContainerCases = Readonly<Record<string, (on: ContainerGround) => Promise<void>>>;

const areas: Readonly<Record<string, ContainerCases>> = {
  "is confined:": confinement,
  "has limits:": limits,
  "has a network:": projectNetworks,
  "prints:": output,
  "ends:": ending,
  "keeps secrets:": secrets,
  "is made from an image:": images,
  "gets its app's files:": appFiles,
  "leaves no image of a revision that is gone:": oldImages,
  "leaves nothing:": leftovers,
};

/** Those that show what the rights of a user, who is not root, are enough for. */
export const AREAS_OF_USERS = [
  "is confined:",
  "has a network:",
  "keeps secrets:",
  "gets its app's files:",
  "leaves nothing:",
];

/** Runs the cases on the engine of a ground. `networks`: it has a bridge, so that projects have networks. `only`: of these areas. */
export function holdContainers(
  name: string,
  { networks, only = Object.keys(areas) }: { networks: boolean; only?: readonly string[] },
  ground: () => DockerGround,
): void {
  describe(`a container of ${name}`, () => {
    let api: EngineApi;

    beforeAll(async () => {
      api = await EngineApi.connect((ground().env["DOCKER_HOST"] ?? "").replace("unix://", ""));
    });
    afterAll(() => api?.close());

    for (const [area, cases] of Object.entries(areas)) {
      if (!only.includes(area)) continue;
      describe(area, () => {
        for (const [of, run] of Object.entries(cases)) it(of, () => run(new ContainerGround(ground(), api, networks)));
      });
    }
  });
}
