import { afterAll, beforeAll, describe } from "vitest";
import { registryAt } from "../../src/image/registry-store.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { holdToContract } from "./store-contract.ts";
import { folder } from "./support.ts";

describe.skipIf(!hasDockerRegistry())("CNCF distribution 2.8", () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry({ dir: await folder() });
  });
  afterAll(() => registry?.close());

  holdToContract("a registry without the referrers API", async () => {
    const store = registryAt(`${registry.host}/team`, { env: {}, signal: new AbortController().signal });
    const origin = (name: string) => ({ host: registry.host, plain: true, repository: `team/${name}` });
    return { store, origin, close: () => store.close() };
  });
});
