import { expect, it } from "vitest";
import { replicaEnv } from "../../src/engine/local/process/replica-env.ts";

it("makes the environment from nothing but what is given, with the engine's own last", () => {
  const parts: Parameters<typeof replicaEnv>[0] = {
    node: "/opt/node/bin/node",
    contentDir: "/content/app",
    home: "/replica/home",
    tmp: "/replica/tmp",
    host: { TZ: "Europe/Berlin", SECRET: "no" },
    revision: { PORT: "1", HOST: "::", APPCTL_ENDPOINT: "http://127.0.0.1:1", GREETING: "hello", KEY: "x" },
    endpoint: "http://127.0.0.1:7654",
    port: 8080,
    secrets: { KEY: "value of the secret" },
    internal: { APPCTL_SOCKET: "/replica/socket" },
  };
  const env = {
    PATH: "/content/app/node_modules/.bin:/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/replica/home",
    TMPDIR: "/replica/tmp",
    LANG: "C.UTF-8",
    TZ: "Europe/Berlin",
    GREETING: "hello",
    APPCTL_ENDPOINT: "http://127.0.0.1:7654",
    PORT: "8080",
    HOST: "127.0.0.1",
    KEY: "value of the secret",
    APPCTL_SOCKET: "/replica/socket",
  };
  expect(replicaEnv(parts)).toEqual(env);
  expect(replicaEnv({ ...parts, endpoint: undefined })).toEqual({ ...env, APPCTL_ENDPOINT: "http://127.0.0.1:1" });
});
