// Every test file starts from the same environment: nothing of the caller's configuration, keys or CI reaches a test.
import { afterAll, afterEach, vi } from "vitest";
import { endFile } from "./support/file-end.ts";

for (const name of Object.keys(process.env)) {
  if (/^(?:APPCTL_|XDG_|K_|GITHUB_)/.test(name)) delete process.env[name];
}
// Tests that install from the npm registry give it to npm: some machines reach the registry only with it.
process.env["TEST_CA_CERTS"] ??= process.env["NODE_EXTRA_CA_CERTS"] ?? "";
for (const name of ["CI", "NO_COLOR", "FORCE_COLOR", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS"]) delete process.env[name];

// Files of a worker share its environment: what a test stubs is gone before the next file is loaded, also when it fails.
afterEach(() => void vi.unstubAllEnvs());
afterAll(endFile);
