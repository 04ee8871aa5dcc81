/** A process for a build on a machine that has no room for one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { runWorker } from "../../src/platform/builds/run-worker.ts";
import { run } from "../image/support.ts";

it("is told to have failed when the platform has no file handle left, and nothing is thrown beside that", async () => {
  const file = join(import.meta.dirname, "..", "..", "src", "platform", "builds", "run-worker.ts");
  const script = `
    const { openSync } = await import("node:fs");
    const { runWorker } = await import(${JSON.stringify(file)});
    process.on("unhandledRejection", (error) => console.log("nobody took", error.code));
    try { for (;;) openSync("/dev/null"); } catch (error) { console.log(error.code); }
    const signal = new AbortController().signal;
    await runWorker({}, { env: {}, signal, onEvent() {} }).catch((error) => console.log("failed:", error.code));
    await new Promise((resolve) => setTimeout(resolve, 50));`;
  const args = ["-c", 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"', process.execPath, script];
  const { stdout } = await run("sh", args, { cwd: import.meta.dirname, env: process.env });
  expect(stdout.trim().split("\n")).toEqual(["EMFILE", "failed: EMFILE"]);
});

it("ends when it takes longer than any build does, and is told so", async () => {
  const { signal } = new AbortController();
  const dir = mkdtempSync(join(tmpdir(), "run-worker-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const task = { type: "resolve" as const, request: { packages: ["never-asked-for"] } };
  const env = { ...process.env, npm_config_registry: "http://127.0.0.1:9/" };
  const last = await runWorker({ task, imagesDir: dir, cacheDir: dir }, { env, signal, longestMs: 1, onEvent() {} });
  expect(last).toMatchObject({ type: "failed", code: "BUILD_INTERRUPTED", exit: 6 });
  expect(last).toMatchObject({ message: expect.stringContaining("took longer than") });
});
