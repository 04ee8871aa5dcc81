import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesOf, coresOf } from "../../src/engine/local/amounts.ts";
import { Cgroups } from "../../src/engine/local/process/cgroup.ts";
import { call, fetchApp, ref, specOf, startEngine, temporaryDirectory, until } from "./helpers.ts";

function cgroupOf(pid: number, controller: "cpu" | "memory"): string {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers.split(",").includes(controller)) return join("/sys/fs/cgroup", controllers, path);
  }
  return join("/sys/fs/cgroup", /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "");
}

describe("limits held by control groups", () => {
  it("hold the CPU and the memory, and the groups go with the replica", async ({ skip }) => {
    const { engine, revision, deploy } = await startEngine();
    const { limits } = engine.facts();
    if (!limits.cpu.startsWith("cgroup") || !limits.mem.startsWith("cgroup"))
      skip("no control group can be written here");
    expect(engine.warnings(specOf({ limits: { cpu: "250m", mem: "300Mi" } }))).toEqual([]);
    const app = fetchApp('const end = Date.now() + 600; while (Date.now() < end); return new Response("burnt");');
    const made = await revision("web-00001", { app }, { spec: { limits: { cpu: "250m", mem: "300Mi" } } });
    expect((await deploy(made)).at(-1)).toMatchObject({ ready: "True" });
    const pid = engine.replicas(ref)[0]?.pid ?? 0;
    const cpu = cgroupOf(pid, "cpu");
    const memory = cgroupOf(pid, "memory");
    const v1 = limits.mem === "cgroup v1";
    expect(readFileSync(join(memory, v1 ? "memory.limit_in_bytes" : "memory.max"), "utf8").trim()).toBe(
      String(300 * 1024 * 1024),
    );
    await call(engine.lease(ref));
    expect(Number(/^nr_throttled (\d+)$/m.exec(readFileSync(join(cpu, "cpu.stat"), "utf8"))?.[1])).toBeGreaterThan(0);
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    expect([cpu, memory].filter((dir) => existsSync(dir))).toEqual([]);
  });

  it("an out-of-memory kill after success shows in the replica, which is restarted", async () => {
    const { engine, revision, deploy } = await startEngine();
    const app = fetchApp(
      'if (request.url.endsWith("/grow")) for (let i = 0; i < 400; i++) { kept.push(Buffer.alloc(1024 * 1024, 1)); await new Promise((r) => setTimeout(r, 5)); } return new Response("up");',
      "const kept: Buffer[] = [];",
    );
    await deploy(await revision("web-00001", { app }, { spec: { limits: { mem: "150Mi" } } }));
    await call(engine.lease(ref), "/grow").catch(() => {});
    await until(() => engine.replicas(ref)[0]?.restarts === 1 && engine.replicas(ref)[0]?.state === "Ready");
    expect(engine.replicas(ref)[0]?.lastExit).toBe("out of memory: it used more than its limit of 150Mi");
    expect(await call(engine.lease(ref))).toMatchObject({ body: "up" });
  });
});

describe("control groups of version 2", () => {
  // This kernel may have given memory and cpu to version 1: the files are looked at, in a directory laid out like cgroup2.
  it("are made below the nearest ancestor that hands its controllers down, and written as the kernel reads them", () => {
    const root = temporaryDirectory();
    const slice = join(root, "user.slice", "app.slice");
    mkdirSync(join(slice, "appctl-x"), { recursive: true });
    mkdirSync(join(slice, "own.scope"));
    for (const dir of [root, slice, join(slice, "appctl-x"), join(slice, "own.scope")]) {
      writeFileSync(join(dir, "cgroup.controllers"), "cpuset cpu io memory pids\n");
      writeFileSync(join(dir, "cgroup.subtree_control"), dir.endsWith("own.scope") ? "" : "cpu memory pids\n");
    }
    const groups = Cgroups.detect("appctl-x", root, new Map([["", "/user.slice/app.slice/own.scope"]]));
    expect([groups.holds("cpu"), groups.holds("memory"), groups.holds("pids")]).toEqual(Array(3).fill("cgroup v2"));
    const [dir = ""] = groups.dirsOf("r1");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "memory.swap.max"), "max");
    groups.create("r1", { memoryBytes: 1024, cores: 1.5, tasks: 100 });
    const group = groups.open("r1");
    group.add(42);
    const read = (file: string) => readFileSync(join(dir, file), "utf8");
    const files = ["memory.max", "cpu.max", "memory.swap.max", "pids.max", "cgroup.procs"];
    expect(files.map(read)).toEqual(["1024", "150000 100000", "0", "100", "42"]);
    writeFileSync(join(dir, "memory.events"), "low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n");
    expect(group.ranOutOfMemory()).toBe(false);
    writeFileSync(join(dir, "memory.events"), "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n");
    expect(group.ranOutOfMemory()).toBe(true);
    writeFileSync(join(dir, "memory.current"), "512\n");
    expect(group.memory()).toBe(512);
  });

  it("are not to be had from a machine without them", () => {
    const groups = Cgroups.detect("appctl-x", temporaryDirectory(), new Map());
    expect([groups.holds("cpu"), groups.holds("memory"), groups.dirsOf("r1")]).toEqual([undefined, undefined, []]);
  });
});

describe("what the engine says of a spec", () => {
  it("names every field that it does not honour", async () => {
    const { engine } = await startEngine();
    expect(engine.check(specOf())).toEqual([]);
    expect(engine.check(specOf({ minReplicas: 1, limits: { cpu: "1", mem: "1Gi" } }))).toEqual([]);
    const faults = engine.check(
      specOf({
        minReplicas: 2,
        maxReplicas: 5,
        requests: { cpu: "1" },
        scaledownAfter: 60,
        scalingMetric: { type: "concurrency", target: 1 },
        inputs: [{ name: "a", value: "b" }],
        customDomain: "example.com",
        sharedMemory: "1Gi",
        accelerator: "gpu",
        clusterPool: "pool",
      }),
    );
    expect(faults.map(({ path }) => path).sort()).toEqual([
      "accelerator",
      "clusterPool",
      "customDomain",
      "inputs",
      "maxReplicas",
      "minReplicas",
      "requests",
      "scaledownAfter",
      "scalingMetric",
      "sharedMemory",
    ]);
    for (const { message } of faults) expect(message).toMatch(/is not honoured by/);
  });

  it("warns of limits that are soft, and says so in its facts", async () => {
    const { engine } = await startEngine({ cgroups: Cgroups.none() });
    expect(engine.facts()).toMatchObject({
      name: "local",
      runtime: "process",
      limits: { cpu: "none: no control group can be written", mem: "soft: memory in use is read every 250 ms" },
    });
    expect(engine.warnings(specOf())).toEqual([]);
    expect(engine.warnings(specOf({ limits: { cpu: "1", mem: "1Gi" } })).map((text) => text.split(" ")[0])).toEqual([
      "limits.cpu",
      "limits.mem",
    ]);
  });

  it("refuses a directory that is too long for sockets", async () => {
    await expect(startEngine({ runtimeDir: `/tmp/${"x".repeat(100)}` })).rejects.toMatchObject({
      code: "RUNTIME_DIRECTORY_TOO_LONG",
    });
  });

  it("reads amounts as Kubernetes writes them", () => {
    expect(["128Mi", "1Gi", "500M", "1k", "1024"].map(bytesOf)).toEqual([134217728, 1073741824, 5e8, 1000, 1024]);
    expect(["1", "0.5", "250m"].map(coresOf)).toEqual([1, 0.5, 0.25]);
    expect(() => bytesOf("1Zi")).toThrow("no amount of memory");
    expect(() => coresOf("many")).toThrow("no amount of CPU");
  });
});
