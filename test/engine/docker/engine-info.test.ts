/** What an engine says of itself, and what the platform then says of it and to whoever deploys. */
import { expect, it, onTestFinished } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import { hasSelinux } from "../../../src/engine/local/docker/engine-info.ts";
import { specOf, temporaryDirectory } from "../helpers.ts";
import { createDockerEngine, dockerOptions } from "./docker-engine.ts";
import { startFaultyEngine } from "./faulty-engine.ts";

const asked = specOf({ limits: { cpu: "500m", mem: "256Mi" } });

/** On an engine that answers so to `GET /info`; undefined: with an error. */
async function engineOn(info: object | undefined, components: string[] = [], version = "4.3.1"): Promise<Engine> {
  const answers: Record<string, object | undefined> = {
    "GET /info": info,
    "GET /version": {
      ...{ ApiVersion: "1.41", Os: "linux", Arch: "amd64" },
      Components: components.map((Name) => ({ Name, Version: version })),
    },
    "GET /libpod/networks/json": [{ name: "podman", driver: "bridge" }],
  };
  const { socketPath } = await startFaultyEngine((call, res) => {
    if (!(call in answers)) return false;
    const answer = answers[call];
    res.writeHead(answer ? 200 : 500, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
    return true;
  });
  const dir = temporaryDirectory();
  const engine = await createDockerEngine(dockerOptions(dir, dir, { DOCKER_HOST: `unix://${socketPath}` }));
  onTestFinished(() => engine.close());
  return engine;
}

const NONE = {
  cpu: expect.stringMatching(/^none/),
  mem: expect.stringMatching(/^none/),
  tasks: expect.stringMatching(/^none/),
};

it("an engine that says nothing unusual, or nothing at all, keeps every limit", async () => {
  for (const info of [
    { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true, CgroupDriver: "systemd" },
    {},
    undefined,
  ]) {
    const engine = await engineOn(info);
    expect(engine.facts().limits).toMatchObject({
      cpu: "hard: Docker",
      mem: "hard: Docker; no swap",
      tasks: "hard: Docker, 1024",
    });
    expect(engine.warnings(asked)).toEqual([]);
  }
});

it("a limit that an engine says it cannot keep is told, the others are kept", async () => {
  const engine = await engineOn({ MemoryLimit: true, CpuCfsQuota: false, PidsLimit: true, CgroupDriver: "systemd" });
  expect(engine.facts().limits).toMatchObject({ cpu: "none: Docker keeps none here", mem: "hard: Docker; no swap" });
  expect(engine.warnings(asked)).toEqual(["limits.cpu (500m) is not enforced: Docker keeps none here"]);
});

// Recorded from a rootless Docker 20.10 on control groups of version 1, which says the same with each of its flags, too.
it("an engine without control groups keeps none", async () => {
  const engine = await engineOn({ MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true, CgroupDriver: "none" });
  expect(engine.facts().limits).toMatchObject(NONE);
  expect(engine.warnings(specOf())).toEqual([]);
});

// Recorded from Podman 4.3.1.
it("a rootless Podman on control groups of version 1 keeps none, whatever it says", async () => {
  const says = { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true, CgroupDriver: "cgroupfs", Rootless: true };
  const first = await engineOn({ ...says, CgroupVersion: "1" }, ["Podman Engine"]);
  expect(first.facts().limits).toMatchObject(NONE);
  expect(first.warnings(asked)).toEqual([
    "limits.cpu (500m) is not enforced: Podman keeps none here",
    "limits.mem (256Mi) is not enforced: Podman keeps none here",
  ]);
  const second = await engineOn({ ...says, CgroupVersion: "2" }, ["Podman Engine"]);
  expect(second.facts().limits).toMatchObject({ mem: "hard: Podman; no swap" });
});

it("SELinux is there when it is one of the security options", () => {
  expect(hasSelinux({ SecurityOptions: ["name=seccomp,profile=default", "name=selinux"] })).toBe(true);
  expect(hasSelinux({ SecurityOptions: ["name=seccomp,profile=default", "name=rootless"] })).toBe(false);
  expect(hasSelinux({ SecurityOptions: null })).toBe(false);
});

it("an old Podman is said to have networks that may reach each other", async () => {
  const isolation = "a network for each project, with no way in but 127.0.0.1";
  for (const [version, end] of [
    ["4.1.1", "; before Podman 4.2 projects may reach each other"],
    ["4.2.0", ""],
    ["10.0.0", ""],
  ]) {
    const engine = await engineOn({}, ["Podman Engine"], version);
    expect(engine.facts().isolation.endsWith(`${isolation}${end}`)).toBe(true);
  }
});
