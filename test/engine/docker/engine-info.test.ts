/** What an engine says of itself, and what the platform then says of it and to whoever deploys. */
import { expect, it, onTestFinished } from "vitest";
import { EngineApi } from "../../../src/container-engine/docker-api.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { infoOf } from "../../../src/engine/local/docker/engine-info.ts";
import { specOf, temporaryDirectory } from "../helpers.ts";
import { createDockerEngine, dockerOptions } from "./docker-engine.ts";
import { startFaultyEngine } from "./faulty-engine.ts";

const asked = specOf({ limits: { cpu: "500m", mem: "256Mi" } });

/** What the engine answers: undefined is an error. */
interface Says {
  info?: object | undefined;
  podman?: string;
  controllers?: string[] | undefined;
}

/** The socket of an engine that answers so. */
async function engineThat({ info, podman, controllers }: Says): Promise<string> {
  const Components = podman === undefined ? [] : [{ Name: "Podman Engine", Version: podman }];
  const answers: Record<string, object | undefined> = {
    "GET /info": info,
    "GET /version": { ApiVersion: "1.41", Os: "linux", Arch: "amd64", Components },
    "GET /libpod/info": controllers && { host: { cgroupControllers: controllers } },
    "GET /libpod/networks/json": [{ name: "podman", driver: "bridge" }],
  };
  const { socketPath } = await startFaultyEngine((call, res) => {
    if (!(call in answers)) return false;
    const answer = answers[call];
    res.writeHead(answer ? 200 : 500, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
    return true;
  });
  return socketPath;
}

/** A platform's engine on it, with what it logs. */
async function engineOn(says: Says): Promise<{ engine: Engine; messages: string[] }> {
  const dir = temporaryDirectory();
  const messages: string[] = [];
  const options = dockerOptions(dir, dir, { DOCKER_HOST: `unix://${await engineThat(says)}` });
  const engine = await createDockerEngine({ ...options, log: (message) => messages.push(message) });
  onTestFinished(() => engine.close());
  return { engine, messages };
}

const limits = (words: RegExp) => ({
  cpu: expect.stringMatching(words),
  mem: expect.stringMatching(words),
  tasks: expect.stringMatching(words),
});
const FLAGS = { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true };

it("a Docker that says nothing unusual keeps every limit", async () => {
  const { engine, messages } = await engineOn({ info: { ...FLAGS, CgroupDriver: "systemd" } });
  expect(engine.facts().limits).toMatchObject({
    cpu: "hard: Docker",
    mem: "hard: Docker; no swap",
    tasks: "hard: Docker, 1024",
  });
  expect([engine.warnings(asked), messages]).toEqual([[], []]);
});

it("what an engine does not say is not known, and its error is logged", async () => {
  for (const says of [{}, { podman: "4.3.1", info: {} }]) {
    const { engine, messages } = await engineOn(says);
    expect(engine.facts().limits).toMatchObject(limits(/^not known: \w+ does not say$/));
    expect(engine.warnings(asked)).toEqual([]);
    expect(messages).toEqual([expect.stringMatching(/^the container engine does not say which limits it keeps: /)]);
  }
});

it("a limit that a Docker says it cannot keep is told, the others are kept", async () => {
  const { engine } = await engineOn({ info: { ...FLAGS, CpuCfsQuota: false, CgroupDriver: "systemd" } });
  expect(engine.facts().limits).toMatchObject({ cpu: "none: Docker keeps none here", mem: "hard: Docker; no swap" });
  expect(engine.warnings(asked)).toEqual(["limits.cpu (500m) is not enforced: Docker keeps none here"]);
});

// A rootless Docker 20.10 says so on control groups of version 1, where its flags are false as well.
it("a Docker without control groups keeps none", async () => {
  const { engine } = await engineOn({ info: { ...FLAGS, CgroupDriver: "none" } });
  expect(engine.facts().limits).toMatchObject(limits(/^none/));
  expect(engine.warnings(specOf())).toEqual([]);
});

// What Podman 4.3 says to Docker's clients is of no use: all true for a user on version 1, who has none (recorded), and no
// quota of CPU on version 2, which has no such file.
it("a Podman keeps what it may write of the control groups, whatever it says to Docker's clients", async () => {
  const root = ["cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids"]; // recorded
  const whole = await engineOn({ podman: "4.3.1", info: { ...FLAGS, CpuCfsQuota: false }, controllers: root });
  expect(whole.engine.facts().limits).toMatchObject(limits(/^hard: Podman/));
  const none = await engineOn({
    podman: "4.3.1",
    info: { ...FLAGS, Rootless: true, CgroupVersion: "1" },
    controllers: [],
  });
  expect(none.engine.facts().limits).toMatchObject(limits(/^none/));
  expect(none.engine.warnings(asked)).toEqual([
    "limits.cpu (500m) is not enforced: Podman keeps none here",
    "limits.mem (256Mi) is not enforced: Podman keeps none here",
  ]);
  const delegated = await engineOn({ podman: "5.4.0", info: FLAGS, controllers: ["memory", "pids"] });
  expect(delegated.engine.facts().limits).toMatchObject({
    cpu: "none: Podman keeps none here",
    mem: "hard: Podman; no swap",
    tasks: "hard: Podman, 1024",
  });
});

it.each([
  [["name=seccomp,profile=default", "name=selinux"], true],
  [["name=seccomp,profile=default", "name=rootless"], false],
  [null, false],
])("of the security options %j SELinux is one: %j", async (SecurityOptions, hasSelinux) => {
  const api = await EngineApi.connect(await engineThat({ info: { SecurityOptions } }));
  onTestFinished(() => api.close());
  expect(await infoOf(api, () => {})).toMatchObject({ hasSelinux });
});

it("an old Podman is said to have networks that may reach each other", async () => {
  const isolation = "a network for each project, with no way in but 127.0.0.1";
  for (const [podman, end] of [
    ["4.1.1", "; before Podman 4.2 projects may reach each other"],
    ["4.2.0", ""],
    ["10.0.0", ""],
  ] as const) {
    const { engine } = await engineOn({ info: {}, podman, controllers: [] });
    expect(engine.facts().isolation.endsWith(`${isolation}${end}`)).toBe(true);
  }
});
