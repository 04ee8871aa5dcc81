import { expect, it } from "vitest";
import { type ContainerPlan, containerBody } from "../../../src/engine/local/docker/container-body.ts";
import { containerEnv } from "../../../src/engine/local/docker/container-env.ts";

const plan: ContainerPlan = {
  platform: "appctl-0123456789",
  ref: { project: "default", domain: "development", name: "web" },
  revision: "web-00001",
  replica: "web-00001-abcde",
  image: "localhost/appctl-0123456789/default/development/web:ab",
  spec: { kind: "framework", limits: {} },
  program: ["node", "/app/serve.mjs"],
  env: { PORT: "8080", EMPTY: "" },
  launchDir: undefined,
  appFiles: [],
  network: { mode: "host" },
  tmpOwner: true,
  init: true,
};

it("confines a container on the machine's own network", () => {
  expect(containerBody(plan)).toEqual({
    Image: plan.image,
    Entrypoint: ["node"],
    Cmd: ["/app/serve.mjs"],
    Env: ["PORT=8080", "EMPTY="],
    User: "65532:65532",
    WorkingDir: "/app",
    Labels: {
      "appctl.platform": "appctl-0123456789",
      "appctl.project": "default",
      "appctl.domain": "development",
      "appctl.app": "web",
      "appctl.revision": "web-00001",
      "appctl.replica": "web-00001-abcde",
    },
    HostConfig: {
      PidsLimit: 1024,
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Privileged: false,
      IpcMode: "private",
      Tmpfs: { "/tmp": "rw,nosuid,nodev,noexec,mode=1777,uid=65532,gid=65532,size=268435456" },
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
      Init: true,
      NetworkMode: "host",
    },
  });
});

it("publishes the port of a container in a project's network on 127.0.0.1 alone", () => {
  const body = containerBody({
    ...plan,
    network: {
      mode: "bridge",
      name: "appctl-0123456789-default",
      port: 3000,
      hosts: ["host.docker.internal:host-gateway"],
    },
  });
  expect(body.ExposedPorts).toEqual({ "3000/tcp": {} });
  expect(body.HostConfig).toMatchObject({
    NetworkMode: "appctl-0123456789-default",
    PortBindings: { "3000/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
    ExtraHosts: ["host.docker.internal:host-gateway"],
  });
});

it("writes limits in the engine's own units", () => {
  const limits = { mem: "512Mi", cpu: "250m", ephemeralStorage: "1Gi" };
  const { HostConfig } = containerBody({ ...plan, spec: { ...plan.spec, limits, sharedMemory: "64Mi" } });
  expect(HostConfig).toMatchObject({
    Memory: 536870912,
    MemorySwap: 536870912,
    NanoCpus: 250_000_000,
    ShmSize: 67108864,
    Tmpfs: { "/tmp": expect.stringMatching(/,size=1073741824$/) },
  });
});

it("mounts secrets read only", () => {
  const { HostConfig } = containerBody({ ...plan, launchDir: "/dev/shm/appctl-0123456789/ab" });
  expect(HostConfig["Mounts"]).toEqual([
    { Type: "bind", Source: "/dev/shm/appctl-0123456789/ab", Target: "/run/appctl", ReadOnly: true },
  ]);
});

it("makes the environment from nothing but what is given, with the engine's own last", () => {
  const env = containerEnv({
    host: { TZ: "Europe/Berlin", SECRET: "no" },
    endpoint: "http://172.18.0.1:7654",
    revision: { PATH: "/opt/bin", PORT: "1", HOST: "::", APPCTL_ENDPOINT: "http://127.0.0.1:7654", GREETING: "hello" },
    port: 8080,
    listen: "0.0.0.0",
    files: { KEY_FILE: "/run/appctl/files/KEY_FILE" },
    signalsGroup: false,
  });
  expect(env).toEqual({
    HOME: "/tmp",
    TMPDIR: "/tmp",
    LANG: "C.UTF-8",
    TZ: "Europe/Berlin",
    PATH: "/app/node_modules/.bin:/opt/bin:/nodejs/bin",
    GREETING: "hello",
    APPCTL_ENDPOINT: "http://172.18.0.1:7654",
    PORT: "8080",
    HOST: "0.0.0.0",
    KEY_FILE: "/run/appctl/files/KEY_FILE",
  });
});
