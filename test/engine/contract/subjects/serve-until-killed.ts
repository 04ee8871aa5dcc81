/** What a platform that is to be killed does: it prints a lease, then every line of the app's log, as JSON. */
import type { Engine, WantedApp } from "../../../../src/engine/engine.ts";

/** Serves until somebody ends this process. */
export async function serveUntilKilled(engine: Engine, wanted: WantedApp): Promise<void> {
  await engine.apply(wanted);
  for await (const { ready, cause } of engine.observe(wanted.ref, wanted.traffic ?? "", new AbortController().signal)) {
    if (ready === "False") throw new Error(JSON.stringify(cause));
  }
  process.stdout.write(`${JSON.stringify(engine.lease(wanted.ref))}\n`);
  for await (const { line } of engine.logs(wanted.ref, { follow: true, signal: new AbortController().signal })) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
