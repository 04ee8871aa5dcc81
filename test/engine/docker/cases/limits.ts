/** What a container may use. */
import { expect } from "vitest";
import { ref } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";

/** A file of its control group, of version 1 or 2. */
const cgroup = (v1: string, v2: string) =>
  `(fs.existsSync("/sys/fs/cgroup/cgroup.controllers") ? fs.readFileSync("/sys/fs/cgroup/${v2}", "utf8") : fs.readFileSync("/sys/fs/cgroup/${v1}", "utf8")).trim()`;

export const limits: ContainerCases = {
  async "memory, which it knows"(on) {
    const details = { spec: { limits: { mem: "256Mi" } } };
    expect(await on.answerOf("process.constrainedMemory()", details)).toBe(String(256 * 1024 ** 2));
  },

  async CPU(on) {
    const body = `${cgroup("cpu/cpu.cfs_quota_us", "cpu.max")} + " " + ${cgroup("cpu/cpu.cfs_period_us", "cpu.max")}`;
    const [quota, period] = (await on.answerOf(body, { spec: { limits: { cpu: "500m" } } })).split(" ").map(Number);
    expect((quota ?? 0) / (period ?? 0)).toBe(0.5);
  },

  async processes(on) {
    expect(await on.answerOf(cgroup("pids/pids.max", "pids.max"))).toBe("1024");
  },

  async "a program that starts processes without end gets an error, and goes on"(on) {
    const body = `new Promise((resolve) => { const children = []; const more = () => {
            const child = spawn("/bin/sleep", ["1000"], { stdio: "ignore" });
            child.once("error", (error) => { for (const { pid } of children) process.kill(pid, "SIGKILL"); resolve(error.code); });
            child.once("spawn", () => { children.push(child); more(); }); }; more(); })`;
    expect(await on.answerOf(body)).toBe("EAGAIN");
    expect(on.engine.replicas(ref)).toMatchObject([{ restarts: 0, state: "Ready" }]);
  },

  async "shared memory, as much as its App says"(on) {
    const body = 'fs.statfsSync("/dev/shm").blocks * fs.statfsSync("/dev/shm").bsize';
    expect(await on.answerOf(body, { spec: { sharedMemory: "16Mi" } })).toBe(String(16 * 1024 ** 2));
  },

  async "what it writes to /tmp counts to its memory"(on) {
    const body =
      'req.url === "/fill" ? fs.writeFileSync("/tmp/x", Buffer.alloc(16 * 1024 ** 2)) || Array.from({ length: 20 }, (_, at) => fs.copyFileSync("/tmp/x", "/tmp/x" + at)) : "up"';
    expect(await on.answerOf(body, { spec: { limits: { mem: "200Mi", ephemeralStorage: "1Gi" } } })).toBe("up");
    await expect(on.ask("/fill")).rejects.toThrow();
    await on.restarted();
    expect(on.engine.replicas(ref)).toMatchObject([
      { lastExit: "out of memory: it used more than its limit of 200Mi" },
    ]);
  },

  async "a kill by somebody else is no end for too much memory, save with Podman, which can lose its note of the cause"(
    on,
  ) {
    expect(await on.answerOf('"up"', { spec: { limits: { mem: "200Mi" } } })).toBe("up");
    const { Id } = await on.container();
    await on.api.json("POST", `/containers/${Id}/kill`, { query: { signal: "SIGKILL" } });
    await on.restarted();
    const words = on.isPodman ? "out of memory: it used more than its limit of 200Mi" : "it was killed by SIGKILL";
    expect(on.engine.replicas(ref)).toMatchObject([{ lastExit: words }]);
  },
};
