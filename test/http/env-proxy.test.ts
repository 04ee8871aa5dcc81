import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import { proxyFor } from "../../src/http/env-proxy.ts";

const PROXY = "http://proxy.test:3128";
const through = (url: string, env: NodeJS.ProcessEnv) => proxyFor(new URL(url), env)?.url.origin;

describe("the proxy for an address", () => {
  it("is that of its scheme, in upper case before lower case; an empty one is none", () => {
    const env = { HTTP_PROXY: "http://a.test:1", http_proxy: "http://b.test:1", https_proxy: "http://c.test:1" };
    expect(through("http://registry.test/v2/", env)).toBe("http://a.test:1");
    expect(through("https://registry.test/v2/", env)).toBe("http://c.test:1");
    expect(through("https://registry.test", { HTTP_PROXY: PROXY, HTTPS_PROXY: "" })).toBeUndefined();
    expect(through("http://registry.test", { HTTPS_PROXY: PROXY, ALL_PROXY: PROXY })).toBeUndefined();
    expect(through("http://registry.test", {})).toBeUndefined();
  });

  it("may be written without a scheme, and be spoken to by TLS", () => {
    expect(through("http://registry.test", { HTTP_PROXY: "proxy.test:3128" })).toBe(PROXY);
    expect(through("http://registry.test", { HTTP_PROXY: "https://proxy.test:3128" })).toBe("https://proxy.test:3128");
  });

  it("is never needed for this machine", () => {
    for (const host of ["localhost", "web.localhost", "127.0.0.1", "127.9.8.7", "[::1]"]) {
      expect(through(`http://${host}:5000/v2/`, { HTTP_PROXY: PROXY }), host).toBeUndefined();
    }
  });

  // What Go does: golang.org/x/net/http/httpproxy, Config.NoProxy.
  it.each<[string, string[], string[]]>([
    ["*", ["http://registry.test", "https://10.0.0.1:5000"], []],
    ["registry.test", ["http://registry.test", "https://a.b.registry.test:5000"], ["http://my-registry.test"]],
    [".registry.test", ["http://a.registry.test"], ["http://registry.test"]],
    ["*.registry.test", ["http://a.registry.test"], ["http://registry.test"]],
    ["registry.test:5000", ["http://registry.test:5000"], ["http://registry.test", "http://registry.test:50001"]],
    ["registry.test:443", ["https://registry.test"], ["http://registry.test"]],
    ["10.0.0.0/8", ["http://10.200.3.4"], ["http://11.0.0.1", "http://ten.test"]],
    ["10.0.0.1", ["http://10.0.0.1:5000"], ["http://10.0.0.10", "http://110.0.0.1"]],
    ["10.0.0.1:80", ["http://10.0.0.1"], ["http://10.0.0.1:5000"]],
    ["fd00::/8", ["http://[fd12::1]:5000"], ["http://[fe80::1]", "http://10.0.0.1"]],
    ["fd00::1", ["http://[fd00::1]"], ["http://[fd00::11]"]],
    ["[fd00::1]:5000", ["http://[fd00::1]:5000"], ["http://[fd00::1]"]],
    [" other.test , REGISTRY.test ,", ["http://registry.test"], ["http://third.test"]],
    ["10.0.0.0/99,:80,/8,[", [], ["http://10.0.0.1", "http://registry.test"]],
  ])("is not for what NO_PROXY=%s excludes", (excluded, direct, proxied) => {
    for (const name of ["NO_PROXY", "no_proxy"]) {
      const env = { HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, [name]: excluded };
      expect(direct.filter((url) => through(url, env) !== undefined)).toEqual([]);
      expect(proxied.filter((url) => through(url, env) === undefined)).toEqual([]);
    }
  });

  it("keeps user and password apart from its address, and shows them to nobody", () => {
    const proxy = proxyFor(new URL("https://registry.test"), { HTTPS_PROXY: "http://ann:p%40ss@proxy.test:3128" });
    expect(proxy?.url.href).toBe(`${PROXY}/`);
    expect(proxy?.authorization?.reveal()).toBe(`Basic ${Buffer.from("ann:p@ss").toString("base64")}`);
    expect(inspect(proxy, { depth: 9 }) + JSON.stringify(proxy)).not.toMatch(/ann|p@ss|p%40ss|YW5u/);
  });

  it.each(["http://ann:open sesame@", "http://ann:sesame@:99999", "socks5://ann:sesame@x:1", "http://ann:%sesame@x:1"])(
    "that is none is told by its variable, without what may be a password",
    (value) => {
      let error: unknown;
      try {
        proxyFor(new URL("http://registry.test"), { http_proxy: value });
      } catch (thrown) {
        error = thrown;
      }
      if (!isAppctlError(error)) throw error;
      expect(error).toMatchObject({ code: "INVALID_PROXY", exit: 2, message: expect.stringContaining("http_proxy") });
      expect(inspect(error)).not.toContain("sesame");
    },
  );
});
