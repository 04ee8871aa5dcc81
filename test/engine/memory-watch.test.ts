import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryWatch } from "../../src/engine/local/process/memory-watch.ts";

const MIB = 1024 * 1024;
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
});

/** Starts Node in a process group of its own; resolves when it has said something. */
async function start(code: string): Promise<number> {
  const child = spawn(process.execPath, ["-e", code], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  await once(child.stdout, "data");
  return child.pid as number;
}
const idle = "console.log('up'); setInterval(() => {}, 1e6);";
const hungry = `globalThis.kept = Buffer.alloc(${300 * MIB}, 1); ${idle}`;

describe("the watch on memory without control groups", () => {
  it("tells of the tree that uses too much, by a process that it started, and of no other", async () => {
    const watch = new MemoryWatch(10);
    const told: string[] = [];
    const modest = await start(idle);
    const unwatchModest = watch.watch(modest, 200 * MIB, () => told.push("modest"));
    const parent = await start(
      `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(hungry)}], { stdio: "inherit" });`,
    );
    await new Promise<void>((resolve) => {
      const unwatch = watch.watch(parent, 200 * MIB, () => {
        told.push("parent");
        unwatch();
        resolve();
      });
    });
    unwatchModest();
    expect(told).toEqual(["parent"]);
  });

  it("tells at each look, until it is told to stop", async () => {
    const watch = new MemoryWatch(10);
    const pid = await start(idle);
    let looks = 0;
    await new Promise<void>((resolve) => {
      const unwatch = watch.watch(pid, MIB, () => {
        if (++looks < 3) return;
        unwatch();
        resolve();
      });
    });
    // The timer goes on for another watch; the one that was told to stop hears nothing of it.
    await new Promise<void>((resolve) => {
      const unwatch = watch.watch(pid, MIB, () => {
        unwatch();
        resolve();
      });
    });
    expect(looks).toBe(3);
  });

  it("gives a tree that has ended no memory", async () => {
    const watch = new MemoryWatch(10);
    const pid = await start(idle);
    const child = running.splice(0)[0] as ChildProcess;
    process.kill(-pid, "SIGKILL");
    await once(child, "exit");
    let told = false;
    const unwatch = watch.watch(pid, 0, () => {
      told = true;
    });
    const other = await start(idle);
    await new Promise<void>((resolve) => {
      const unwatchOther = watch.watch(other, MIB, () => {
        unwatchOther();
        resolve();
      });
    });
    unwatch();
    expect(told).toBe(false);
  });
});
