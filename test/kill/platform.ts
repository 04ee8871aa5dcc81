/**
 * The platform as `appctl platform run` runs it, in a process of its own that can be armed: `node platform.ts PORT`. After
 * `{ arm: <name of a point> }` on the IPC channel it kills itself when it reaches that point; with `revision`, the replica of
 * that revision.
 */
import { runPlatform } from "../../src/platform/run.ts";
import { platformPoints, replicaPoints, replicasOf, secretPoints, startPoints, stopPoints } from "./platform-points.ts";

const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
// Whoever started it is gone: nobody would end it.
process.on("disconnect", () => stop.abort());
process.on("message", ({ arm, revision }: { arm: string; revision?: string }) => {
  const trap =
    revision === undefined ? { ...platformPoints, ...stopPoints, ...secretPoints }[arm] : replicaPoints[arm]?.trap;
  let sprung = false;
  if (!trap) throw new Error(`no point is named ${arm}`);
  if (revision === undefined) trap(() => process.kill(process.pid, "SIGKILL"));
  else {
    trap((self, args) => {
      const pids = replicasOf(self, args, revision);
      if (sprung || pids.length === 0) return;
      sprung = true;
      for (const pid of pids) process.kill(pid, "SIGKILL");
      process.send?.({ type: "killed", pids });
    });
  }
  process.send?.({ type: "armed" });
});

// The points of the start are armed from the beginning: `node platform.ts PORT POINT`.
startPoints[process.argv[3] ?? ""]?.(() => process.kill(process.pid, "SIGKILL"));

await runPlatform({
  port: Number(process.argv[2]),
  host: "127.0.0.1",
  baseDomain: undefined,
  url: undefined,
  runtime: "process",
  env: process.env,
  signal: stop.signal,
  notify: (message) => process.send?.(message),
  report: (message) => process.stderr.write(`${new Date().toISOString()} ${message}\n`),
});
process.exit();
