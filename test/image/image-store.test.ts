import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redacted } from "../../src/core/redacted.ts";
import { LayoutStore } from "../../src/image/layout-store.ts";
import { platformStore } from "../../src/image/platform-store.ts";
import { RegistryStore } from "../../src/image/registry-store.ts";
import { emptyLayout, pauses, repositoryAt } from "../oci/registry/support.ts";
import { startPlatform } from "../support/in-process.ts";
import { holdToContract } from "./store-contract.ts";

holdToContract("a layout", async () => ({
  store: new LayoutStore(await emptyLayout()),
  origin: () => undefined,
  close: async () => undefined,
}));

holdToContract("the platform", async () => {
  const test = await startPlatform();
  const host = `127.0.0.1:${test.platform.port}`;
  const { signal } = new AbortController();
  return {
    store: platformStore(test.client, { address: host, signal, ...pauses() }),
    origin: (repository) => ({ host, plain: true, repository }),
    close: () => test.close(),
  };
});

holdToContract("a registry with the referrers API", async () => {
  const test = await startPlatform();
  const host = `127.0.0.1:${test.platform.port}`;
  const password = new Redacted(readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim());
  const credentials = { kind: "password" as const, username: "ann", password };
  const store = new RegistryStore({
    address: host,
    repositoryOf: (repository) => repositoryAt(host, { repository, credentials, ...pauses() }),
  });
  return {
    store,
    origin: (repository) => ({ host, plain: true, repository }),
    close: async () => {
      await store.close();
      await test.close();
    },
  };
});
