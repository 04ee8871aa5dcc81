import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { proxyArguments, signIn } from "../../src/image/builder/outside-access.ts";

const dir = mkdtempSync(join(tmpdir(), "build-world-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const { signal } = new AbortController();
const auth = (pair: string) => ({ auth: Buffer.from(pair).toString("base64") });
const decoded = (header: Record<string, string>) => {
  const text = header["x-registry-config"] ?? "";
  expect(text).toMatch(/^[A-Za-z0-9_-]+=*$/);
  expect(text.length % 4).toBe(0);
  return JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
};

writeFileSync(
  join(dir, "config.json"),
  JSON.stringify({
    auths: {
      "registry.example.com": auth("ann:of?>the~registry"),
      "https://index.docker.io/v1/": auth("bob:of the hub"),
      "tokens.example.com": { identitytoken: "who-i-am" },
    },
  }),
);
const env = { DOCKER_CONFIG: dir };

it("signs an engine in to the registry of the base, and to no other", async () => {
  expect(decoded(await signIn("registry.example.com/team/base:1", env, signal))).toEqual({
    "registry.example.com": {
      username: "ann",
      password: "of?>the~registry",
      serveraddress: "registry.example.com",
    },
  });
  expect(await signIn("other.example.com/base:1", env, signal)).toEqual({});
});

it("knows Docker Hub by the name that engines have for it, and tokens", async () => {
  const hub = "https://index.docker.io/v1/";
  expect(decoded(await signIn("node:24-slim", env, signal))).toEqual({
    [hub]: { username: "bob", password: "of the hub", serveraddress: hub },
  });
  expect(decoded(await signIn("tokens.example.com/base", env, signal))).toEqual({
    "tokens.example.com": { identitytoken: "who-i-am", serveraddress: "tokens.example.com" },
  });
});

it("hands this machine's proxies on, but for those that only this machine reaches", () => {
  expect(proxyArguments({}, false)).toEqual({});
  expect(proxyArguments({ NO_PROXY: "example.com" }, false)).toEqual({});
  const both = { HTTP_PROXY: "http://127.0.0.1:3128", https_proxy: "proxy.example.com:3128" };
  const far = { https_proxy: "proxy.example.com:3128", HTTPS_PROXY: "proxy.example.com:3128" };
  expect(proxyArguments(both, false)).toEqual(far);
  // A build in the machine's own network is this machine.
  expect(proxyArguments(both, true)).toEqual({
    ...far,
    http_proxy: "http://127.0.0.1:3128",
    HTTP_PROXY: "http://127.0.0.1:3128",
  });
  expect(proxyArguments({ HTTP_PROXY: "http://proxy.example.com", no_proxy: ".example.com" }, false)).toEqual({
    http_proxy: "http://proxy.example.com",
    HTTP_PROXY: "http://proxy.example.com",
    NO_PROXY: ".example.com",
    no_proxy: ".example.com",
  });
});
