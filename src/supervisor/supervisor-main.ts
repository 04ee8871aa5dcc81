/**
 * `node supervisor.js <upgrade file> <program> <argument>…`: runs the platform below a supervisor, until it is asked to stop. At
 * SIGHUP the program that the upgrade file names takes the place of the one that runs.
 */
import { version } from "../core/package-files.ts";
import { Supervisor } from "./supervisor.ts";
import { programIn } from "./upgrade-file.ts";

const [upgradeFile = "", program = "", ...args] = process.argv.slice(2);
const stop = new AbortController();
const log = (message: string) => process.stderr.write(`${new Date().toISOString()} ${message}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
// Node would open its debugger for any sender, an app of the same user as well.
process.on("SIGUSR1", () => undefined);
// Every app ends with this process: a fault in the work for one of them must not be the end of all.
process.on("uncaughtException", (error) => log(`error: ${error.stack ?? error.message}`));
// The command that started it may have gone meanwhile.
process.on("disconnect", () => undefined);

const supervisor = new Supervisor({
  ...{ node: process.execPath, program, args, version: version(), env: process.env, signal: stop.signal, log },
  notify: (report) => {
    if (process.connected) process.send?.(report, undefined, undefined, () => undefined);
  },
});
process.on("SIGHUP", () => {
  try {
    supervisor.upgrade(programIn(upgradeFile));
  } catch (error) {
    log(`no upgrade: ${error instanceof Error ? error.message : String(error)}`);
  }
});
process.exit(await supervisor.run());
