/** `node supervisor.js <program> <argument>…`: runs the platform below a supervisor, until it is asked to stop. */
import { runSupervisor } from "./supervisor.ts";

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
// Node would open its debugger for any sender, an app of the same user as well.
process.on("SIGUSR1", () => undefined);
// The command that started it may have gone meanwhile.
process.on("disconnect", () => undefined);

const code = await runSupervisor({
  node: process.execPath,
  args: ["--disable-sigusr1", ...process.argv.slice(2)],
  env: process.env,
  signal: stop.signal,
  notify: (report) => {
    if (process.connected) process.send?.(report, undefined, undefined, () => undefined);
  },
  log: (message) => process.stderr.write(`${new Date().toISOString()} ${message}\n`),
});
process.exit(code);
