/** What a program finds in its environment: the same on every engine. */
import { isIP } from "node:net";
import { expect } from "vitest";
import type { Ground } from "../ground.ts";
import type { Cases } from "../suite.ts";

const environmentOf = async (on: Ground): Promise<Record<string, string>> => JSON.parse(await on.ask("/env"));

export const environment: Cases = {
  async "PORT and HOST say where to listen"(on) {
    await on.serveNew("web-00001");
    const { PORT, HOST } = await environmentOf(on);
    expect(PORT).toMatch(/^[1-9]\d{0,4}$/);
    expect(Number(PORT)).toBeLessThan(65_536);
    expect(isIP(HOST ?? "")).toBe(4);
  },

  async "what the revision says of itself arrives, Knative's variables and the platform's own"(on) {
    const env = { APPCTL_PROJECT: "default", APPCTL_DOMAIN: "development", APPCTL_ENDPOINT_PATTERN: "http://{x}" };
    await on.serveNew("web-00001", {}, { env });
    expect(await environmentOf(on)).toMatchObject({
      K_SERVICE: "web",
      K_CONFIGURATION: "web",
      K_REVISION: "web-00001",
      APPCTL_APP: "web",
      APPCTL_REVISION: "web-00001",
      ...env,
    });
  },

  async "APPCTL_ENDPOINT leads to the platform, and a revision's own wins"(on) {
    await on.serveNew("web-00001");
    expect((await environmentOf(on))["APPCTL_ENDPOINT"]).toMatch(/^http:\/\/[^/]+:7654$/);
    await on.serveNew("web-00002", {}, { env: { APPCTL_ENDPOINT: "http://elsewhere:1" } });
    expect((await environmentOf(on))["APPCTL_ENDPOINT"]).toBe("http://elsewhere:1");
  },

  async "the app's own variables arrive as they are"(on) {
    const env = {
      EMPTY: "",
      LINES: "one\ntwo\r\n",
      UNICODE: "schlüssel 🔑",
      SHELL_TEXT: `'a' "b" $HOME \`id\` \\`,
      EQUALS: "a=b=c",
      lower_case: "yes",
      LARGE: "x".repeat(100 * 1024),
    };
    await on.serveNew("web-00001", {}, { env });
    expect(await environmentOf(on)).toMatchObject(env);
  },

  async "PORT and HOST are the engine's, whatever the revision says"(on) {
    await on.serveNew("web-00001", {}, { env: { PORT: "1", HOST: "192.0.2.1" } });
    const { PORT, HOST } = await environmentOf(on);
    expect(PORT).not.toBe("1");
    expect(HOST).not.toBe("192.0.2.1");
    expect(await on.ask()).toBe("ok");
  },

  async "a secret wins over a variable of its name"(on) {
    const secrets = [on.secret("GREETING", "from the secret")];
    await on.serveNew("web-00001", {}, { env: { GREETING: "from the spec" }, secrets });
    expect((await environmentOf(on))["GREETING"]).toBe("from the secret");
  },

  async "nothing of the platform's own environment gets in"(on) {
    const strange = { APPCTL_CONTRACT_PRIVATE: "private", NODE_OPTIONS: "--no-deprecation", HTTPS_PROXY: "http://x:1" };
    Object.assign(process.env, strange);
    try {
      await on.serveNew("web-00001");
      const env = await environmentOf(on);
      expect(Object.keys(strange).filter((name) => name in env)).toEqual([]);
    } finally {
      for (const name of Object.keys(strange)) delete process.env[name];
    }
  },

  async "the token of a lease is not in it"(on) {
    await on.serveNew("web-00001");
    const lease = on.lease();
    lease.release();
    const values = Object.values(await environmentOf(on));
    expect(values.filter((value) => lease.token !== undefined && value.includes(lease.token))).toEqual([]);
  },

  async "it is the same after a restart, save for the port"(on) {
    await on.serveNew("web-00001", {}, { env: { GREETING: "hello" }, secrets: [on.secret("TOKEN", "t")] });
    const fixed = /^(?:K_|APPCTL_(?!REPLICA)|GREETING$|TOKEN$|HOST$)/;
    const kept = (env: Record<string, string>) => Object.entries(env).filter(([name]) => fixed.test(name));
    const before = kept(await environmentOf(on));
    await on.crashAndRestart(3);
    const after = kept(await environmentOf(on));
    expect(before.length).toBeGreaterThan(7);
    expect(Object.fromEntries(after)).toEqual(Object.fromEntries(before));
  },
};
