import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findCredentials } from "../../../src/oci/registry/credentials.ts";
import { folder, installed, run } from "../../image/support.ts";
import { HTPASSWD, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";

const { signal } = new AbortController();

const tools = ["skopeo", "podman"].filter(installed);

describe.skipIf(!hasDockerRegistry() || tools.length === 0)("credentials as they are really written", () => {
  it.each(tools)("by %s login", async (tool) => {
    const dir = await folder();
    const registry = await startDockerRegistry({ dir: await folder(), auth: { htpasswd: HTPASSWD } });
    try {
      await mkdir(join(dir, "run"), { mode: 0o700 });
      const env = { HOME: dir, XDG_RUNTIME_DIR: join(dir, "run"), PATH: process.env["PATH"] };
      const args = ["login", "--tls-verify=false", "-u", "ann", "--password-stdin", registry.host];
      const signIn = run(tool, args, { env, cwd: dir });
      signIn.child.stdin?.end("open sesame");
      await signIn;
      const found = await findCredentials({ host: registry.host, repository: "a" }, env, signal);
      expect(found).toMatchObject({ kind: "password", username: "ann" });
      expect(found?.kind === "password" && found.password.reveal()).toBe("open sesame");
    } finally {
      await registry.close();
    }
  });
});
